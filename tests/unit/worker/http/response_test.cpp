#include "pronghorn/response.h"

#include <filesystem>
#include <stdexcept>
#include <string>

#include "pronghorn/error.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/temp_dir.h"
#include "worker/http/head/status_text.h"
#include "worker/http/response_access.h"
#include "worker/http1/response_head.h"

using namespace pronghorn;

TEST_CASE("a response cannot be split", "[http][response]") {
  Response response;
  CHECK_THROWS_AS(response.set("X", "a\r\nY: b"), std::invalid_argument);
  CHECK_THROWS_AS(response.set("X", std::string_view("a\0b", 3)), std::invalid_argument);
  CHECK_THROWS_AS(response.append("X\r\nY", "a"), std::invalid_argument);
  CHECK_THROWS_AS(response.set("X Y", "a"), std::invalid_argument);
  CHECK_THROWS_AS(response.content_type("text/html\r\nX: y"), std::invalid_argument);
  CHECK_THROWS_AS(redirect("/a\r\nSet-Cookie: x=y"), std::invalid_argument);
  CHECK_THROWS_AS(response.cookie("a", "b\r\n"), std::invalid_argument);
}

TEST_CASE("a redirect has the status of one", "[http][response]") {
  for (const int status : {301, 302, 303, 307, 308}) CHECK(redirect("/a", status).status() == status);
  for (const int status : {100, 200, 300, 304, 305, 306, 309, 404}) {
    CAPTURE(status);
    CHECK_THROWS_AS(redirect("/a", status), std::invalid_argument);
  }
}

TEST_CASE("fields that frame the message, or describe the connection, are the server's", "[http][response]") {
  Response response;
  CHECK_THROWS_AS(response.set("Content-Length", "5"), std::invalid_argument);
  CHECK_THROWS_AS(response.set("transfer-encoding", "chunked"), std::invalid_argument);
  CHECK_THROWS_AS(response.append("Connection", "close"), std::invalid_argument);
  CHECK_THROWS_AS(response.set("Keep-Alive", "timeout=5"), std::invalid_argument);
  CHECK_THROWS_AS(response.set("Proxy-Connection", "close"), std::invalid_argument);
  CHECK_THROWS_AS(response.append("TE", "trailers"), std::invalid_argument);
}

TEST_CASE("set replaces all fields of a name, append adds one", "[http][response]") {
  Response response;
  response.append("X-A", "1").append("x-a", "2").append("X-AB", "3");
  CHECK(response.header("X-A") == std::string_view("1"));
  response.set("x-A", "4");
  CHECK(response.header("X-A") == std::string_view("4"));
  CHECK(response.header("X-AB") == std::string_view("3"));
  response.remove("X-A");
  CHECK_FALSE(response.header("X-A"));
  response.set("Content-Type", "text/csv");
  CHECK(response.header("content-type") == std::string_view("text/csv"));
}

// Clients of HTTP/2 refuse a response with such a value (RFC 9113 section 8.2.1).
TEST_CASE("blanks around a value are no part of it", "[http][response]") {
  Response response;
  response.set("X-A", " 1 2\t").append("X-B", "\t").content_type(" text/csv ");
  CHECK(response.header("X-A") == std::string_view("1 2"));
  CHECK(response.header("X-B") == std::string_view(""));
  CHECK(response.header("Content-Type") == std::string_view("text/csv"));
  CHECK(ResponseAccess::fields(response) == "X-A: 1 2\r\nX-B: \r\n");
  CHECK(render_trailer("X-C", " 3 ") == "X-C: 3\r\n");
}

// The memory of the other field was read after it had been freed.
TEST_CASE("a field may be set to the value of another one, or of itself", "[http][response]") {
  const std::string value(100, 'v');
  Response response;
  response.set("X-A", "1").set("X-B", value);
  response.append("X-C", *response.header("X-B"));
  CHECK(response.header("X-C") == std::string_view(value));
  response.set("X-B", *response.header("X-B"));
  CHECK(response.header("X-B") == std::string_view(value));
  response.set("X-A", *response.header("X-C"));
  CHECK(response.header("X-A") == std::string_view(value));
}

TEST_CASE("a cookie has the attributes that its prefix demands", "[http][response]") {
  Response response;
  // Browsers compare prefixes without case, and drop a cookie that does not comply.
  for (const char* const name : {"__Host-a", "__host-a", "__Secure-a", "__SECURE-a", "__Http-a", "__Host-Http-a"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(response.cookie(name, "b"), std::invalid_argument);
  }
  CHECK_THROWS_AS(response.cookie("__HOST-a", "b", {.path = "/x", .secure = true}), std::invalid_argument);
  CHECK_THROWS_AS(response.cookie("__http-a", "b", {.secure = true, .http_only = false}), std::invalid_argument);
  CHECK_THROWS_AS(response.cookie("a", "b;c"), std::invalid_argument);
  CHECK_THROWS_AS(response.cookie("a", "b", {.path = "/;x"}), std::invalid_argument);
  response.cookie("__Host-a", "b", {.max_age = std::chrono::seconds(60), .secure = true});
  CHECK(response.header("set-cookie") ==
        std::string_view("__Host-a=b; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax"));
}

// Such cookies went out, and were lost without a word.
TEST_CASE("a cookie that browsers would ignore, or bind to another path, throws", "[http][response]") {
  Response response;
  for (const char* const path : {"shop", " /", "/a\x01", "/\xc3\xa4", "/a;b"}) {
    CAPTURE(path);
    CHECK_THROWS_AS(response.cookie("a", "b", {.path = path}), std::invalid_argument);
  }
  for (const char* const domain : {".", "..", "a..example", "a b", "a,b", "a/b", "\xc3\xa4.example", "a.example;x"}) {
    CAPTURE(domain);
    CHECK_THROWS_AS(response.cookie("a", "b", {.domain = domain}), std::invalid_argument);
  }
  CHECK_THROWS_AS(response.cookie("a", std::string(4096, 'b')), std::invalid_argument);
  CHECK_THROWS_AS(response.cookie("a", "b", {.path = "/" + std::string(1024, 'b')}), std::invalid_argument);
  CHECK_THROWS_AS(response.cookie("a", "b", {.domain = std::string(1025, 'b')}), std::invalid_argument);
  CHECK_FALSE(response.header("Set-Cookie"));
  CHECK_NOTHROW(response.cookie("a", std::string(4095, 'b'), {.path = "/" + std::string(1023, 'b')}));
  CHECK_NOTHROW(response.cookie("a", "b", {.path = "", .domain = "Shop-1.example"}));
  CHECK_NOTHROW(response.cookie("a", "b", {.path = "/a b%20", .domain = ".192.0.2.7"}));
}

TEST_CASE("fields that describe connection or content are no trailers", "[http][response]") {
  for (const char* const name :
       {"Upgrade", "Keep-Alive", "Proxy-Connection", "TE", "Content-Length", "Content-Language", "content-location",
        "Authorization", "Proxy-Authenticate", "Trailer"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(render_trailer(name, "x"), std::invalid_argument);
  }
  for (const char* const name : {"ETag", "Content-Digest", "Server-Timing", "X-Sum"})
    CHECK_NOTHROW(render_trailer(name, "x"));
}

TEST_CASE("Retry-After is no negative number", "[http][response]") {
  CHECK(HttpError(503, "").retry_after(-5).fields() == HttpError::Fields{{"Retry-After", "0"}});
  CHECK(HttpError(503, "").retry_after(5).fields() == HttpError::Fields{{"Retry-After", "5"}});
}

TEST_CASE("a head has status line, date, length and own fields", "[http][response]") {
  Response response = text("hello", 404);
  response.set("X-A", "1");
  std::string out;
  worker::append_response_head(out, response, {.content_length = 5, .close = true});
  CHECK(out.starts_with("HTTP/1.1 404 Not Found\r\n"));
  CHECK(out.find("\r\nDate: ") != std::string::npos);
  CHECK(out.find("\r\nContent-Type: text/plain; charset=utf-8\r\n") != std::string::npos);
  CHECK(out.find("\r\nContent-Length: 5\r\n") != std::string::npos);
  CHECK(out.find("\r\nConnection: close\r\n") != std::string::npos);
  CHECK(out.ends_with("\r\nX-A: 1\r\n\r\n"));
}

TEST_CASE("Date and Server of the application replace ours, however they are spelled", "[http][response]") {
  Response response = text("hello");
  response.set("date", "Thu, 01 Jan 1970 00:00:00 GMT").set("SERVER", "mine");
  std::string out;
  worker::append_response_head(out, response, {.content_length = 5});
  CHECK(out.find("\r\nDate: ") == std::string::npos);
  CHECK(out.find("\r\nServer: ") == std::string::npos);
  CHECK(out.find("\r\nSERVER: mine\r\n") != std::string::npos);
}

// RFC 9110 section 7.8. A proxy that does not know the option would pass Upgrade on.
TEST_CASE("whatever the status, Upgrade comes with its connection option", "[http][response]") {
  const auto head_of = [](const Response& response) {
    std::string out;
    worker::append_response_head(out, response, {.content_length = 5, .close = true});
    return out;
  };
  for (const int status : {200, 404, 426}) {
    const std::string head = head_of(text("hello", status).set("upgrade", "h2c"));
    CHECK(head.find("\r\nConnection: Upgrade\r\n") != std::string::npos);
    CHECK(head.find("\r\nConnection: close\r\n") != std::string::npos);
  }
  CHECK(head_of(text("hello").set("X-Upgrade", "h2c")).find("Connection: Upgrade") == std::string::npos);
}

TEST_CASE("a traceparent of the application replaces ours", "[http][response]") {
  const auto head_of = [](const Response& response) {
    std::string out;
    worker::append_response_head(out, response, {.content_length = 5, .traceparent = "00-ours"});
    return out;
  };
  CHECK(head_of(text("hello")).find("\r\ntraceparent: 00-ours\r\n") != std::string::npos);
  const std::string head = head_of(text("hello").set("Traceparent", "00-mine"));
  CHECK(head.find("00-ours") == std::string::npos);
  CHECK(head.find("\r\nTraceparent: 00-mine\r\n") != std::string::npos);
}

TEST_CASE("a problem is UTF-8 whatever its detail is", "[http][response]") {
  CHECK(problem(400, "\xff\xc3\xa9\xc3").body().find("\xEF\xBF\xBD\xc3\xa9\xEF\xBF\xBD") != std::string::npos);
}

// https://www.iana.org/assignments/http-status-codes
TEST_CASE("every registered status has its own title", "[http][response]") {
  for (const int status : {203, 207, 208, 226, 300, 305, 402, 407, 423, 424, 451, 506, 508, 510, 511}) {
    CAPTURE(status);
    for (const char* const general : {"OK", "Redirection", "Client Error", "Server Error"})
      CHECK(worker::status_text(status) != general);
  }
  CHECK(problem(407).body() == R"({"type":"about:blank","title":"Proxy Authentication Required","status":407})");
  CHECK(worker::status_text(499) == "Client Error");
}

TEST_CASE("a problem escapes its detail", "[http][response]") {
  CHECK(problem(400, "a \"b\"\n").body() ==
        R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"a \"b\"\u000a"})");
}

TEST_CASE("every setter can be chained on a temporary", "[http][response]") {
  const Response response = text("a", 201)
                                .content_type("text/csv")
                                .status(202)
                                .set("X-A", "1")
                                .append("X-B", "2")
                                .remove("X-A")
                                .cookie("c", "d")
                                .body("b");
  CHECK(response.status() == 202);
  CHECK(response.content_type() == "text/csv");
  CHECK_FALSE(response.header("X-A"));
  CHECK(response.header("X-B") == "2");
  CHECK(response.header("Set-Cookie") == "c=d; Path=/; HttpOnly; SameSite=Lax");
  CHECK(response.body() == "b");
}

TEST_CASE("a new body replaces a stream", "[http][response]") {
  Response response = stream("text/plain", [](Writer&) -> Task<void> { co_return; });
  response.body("whole");
  CHECK(response.body() == "whole");
  CHECK_FALSE(ResponseAccess::producer(response));
}

namespace {

// What a client would get.
std::string content_of(Response response) {
  const auto& part = ResponseAccess::file(response);
  REQUIRE(part != nullptr);
  std::string content;
  CHECK(part->file->append(content, part->offset, part->length));
  CHECK(content.size() == part->length);
  return content;
}

}  // namespace

// The size that stat() gives is 0, or a page: the client got nothing, or half a response.
TEST_CASE("a file of /proc or /sys is sent whole", "[http][response]") {
  CHECK(content_of(file("/proc/self/status")).starts_with("Name:"));
  CHECK(content_of(file("/sys/kernel/mm/transparent_hugepage/enabled")).ends_with("\n"));
  CHECK_THROWS_AS(file("/proc/self/pagemap"), std::exception);  // endless, as far as a client is concerned
}

TEST_CASE("an empty file has no content, and a file with holes has all of it", "[http][response]") {
  const test::TempDir folder;
  test::write_file(folder / "empty", "");
  CHECK(content_of(file(folder / "empty")).empty());
  test::write_file(folder / "holes", "");
  std::filesystem::resize_file(folder / "holes", 3'000);
  CHECK(content_of(file(folder / "holes")) == std::string(3'000, '\0'));
}

// The system takes what is before the NUL: a check of the end of the path said nothing of the file that was sent.
TEST_CASE("a path with a NUL names no file", "[http][response]") {
  const test::TempDir folder;
  test::write_file(folder / "secret", "x");
  CHECK_THROWS_AS(file((folder / "secret") + std::string("\0.pdf", 5)), HttpError);
}
