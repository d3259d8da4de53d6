#include "worker/http1/parser/head_parser.h"

#include <memory>
#include <string>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

struct Parsed {
  std::unique_ptr<RequestHead> head = std::make_unique<RequestHead>();
  std::string bytes;
  Refusal refusal;
};

Parsed parse(std::string bytes, const HttpLimits& limits = {}) {
  Parsed parsed;
  parsed.bytes = std::move(bytes);
  parsed.refusal = parse_head(parsed.bytes, parsed.bytes.find("\r"), limits, *parsed.head);
  return parsed;
}

Parsed parse_fields(const std::string& fields) { return parse("POST /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"); }

}  // namespace

TEST_CASE("the parts of a request line are found", "[http][parser]") {
  const Parsed parsed = parse("GET /a/b%20c?x=1&y=2 HTTP/1.1\r\nHost: example.com:8080\r\nCookie: a=b\r\n\r\n");
  CHECK(parsed.refusal.status == 0);
  CHECK(parsed.head->method == "GET");
  CHECK(parsed.head->target == "/a/b%20c?x=1&y=2");
  CHECK(parsed.head->path == "/a/b%20c");
  CHECK(parsed.head->query == "x=1&y=2");
  CHECK(parsed.head->keep_alive);
  CHECK(parsed.head->value(KnownHeader::host) == "example.com:8080");
  CHECK(parsed.head->value(KnownHeader::cookie) == "a=b");
  CHECK(parsed.head->find("COOKIE") == std::string_view("a=b"));
  CHECK_FALSE(parsed.head->find("cook"));
}

TEST_CASE("request ids and trace contexts are found with and without a body", "[http][parser]") {
  for (const std::string line :
       {"GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"}) {
    const Parsed parsed = parse(line + "X-REQUEST-ID: first\r\nTraceParent: trace\r\nx-request-id: second\r\n\r\n");
    CHECK(parsed.refusal.status == 0);
    CHECK(parsed.head->value(KnownHeader::x_request_id) == "first");
    CHECK(parsed.head->value(KnownHeader::traceparent) == "trace");
    CHECK_FALSE(parse(line + "\r\n").head->has(KnownHeader::x_request_id));
    CHECK_FALSE(parse(line + "\r\n").head->has(KnownHeader::traceparent));
  }
}

TEST_CASE("an absolute-form target gives authority and path", "[http][parser]") {
  const Parsed parsed = parse("GET http://example.com?q HTTP/1.1\r\nHost: other\r\n\r\n");
  CHECK(parsed.refusal.status == 0);
  CHECK(parsed.head->authority == "example.com");
  CHECK(parsed.head->path == "/");
  CHECK(parsed.head->query == "q");
}

TEST_CASE("persistence follows version and Connection", "[http][parser]") {
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head->keep_alive);
  CHECK_FALSE(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n").head->keep_alive);
  CHECK_FALSE(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n").head->keep_alive);
  CHECK_FALSE(parse("GET / HTTP/1.0\r\n\r\n").head->keep_alive);
  CHECK(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").head->keep_alive);
}

TEST_CASE("a malformed request line is refused", "[http][parser]") {
  const auto status = [](const std::string& line) { return parse(line + "\r\nHost: a\r\n\r\n").refusal.status; };
  CHECK(status("GET  / HTTP/1.1") == 400);
  CHECK(status("GET / HTTP/1.1 ") == 400);
  CHECK(status(" GET / HTTP/1.1") == 400);
  CHECK(status("GET /") == 400);
  CHECK(status("GET / http/1.1") == 400);
  CHECK(status("G(T / HTTP/1.1") == 400);
  CHECK(status("GET /#top HTTP/1.1") == 400);
  CHECK(status("GET /caf\xc3\xa9 HTTP/1.1") == 400);
  CHECK(status("GET x HTTP/1.1") == 400);
  CHECK(status("GET * HTTP/1.1") == 400);
  CHECK(status("OPTIONS * HTTP/1.1") == 0);
  CHECK(status("CONNECT a:443 HTTP/1.1") == 501);
  CHECK(status("GET / HTTP/2.0") == 505);
  CHECK(status("GET / HTTP/0.9") == 505);
}

TEST_CASE("every method that is a token is parsed, with and without a body", "[http][parser]") {
  for (const std::string method : {"QUERY", "get", "BREW", "DESCRIBE", "M-SEARCH", "!#$%&'*+-.^_`|~", "A"}) {
    CAPTURE(method);
    const Parsed plain = parse(method + " /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
    CHECK(plain.refusal.status == 0);
    CHECK(plain.head->method == method);
    CHECK(plain.head->path == "/a");
    CHECK(plain.head->find("x") == std::string_view("y"));
    CHECK(*parse(method + " /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").head->content_length == 5);
  }
}

// llhttp refuses HTAB after Content-Length, which is legal whitespace (RFC 9110 section 5.6.3).
TEST_CASE("values may have blanks around them, in the fields that frame the body too", "[http][parser]") {
  for (const std::string blanks : {" ", "\t", " \t ", "\t\t"}) {
    const Parsed parsed =
        parse_fields("Content-Length:" + blanks + "5" + blanks + "\r\nX:" + blanks + "a\tb" + blanks + "\r\n");
    CHECK(parsed.refusal.status == 0);
    CHECK(parsed.head->content_length == 5);
    CHECK(parsed.head->find("x") == std::string_view("a\tb"));
    CHECK(parse_fields("Transfer-Encoding:" + blanks + "chunked" + blanks + "\r\n").head->chunked);
  }
}

TEST_CASE("a higher minor version is read as 1.1", "[http][parser]") {
  const Parsed parsed = parse("POST /x?y HTTP/1.7\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  CHECK(parsed.refusal.status == 0);
  CHECK(parsed.head->minor_version == 1);
  CHECK(parsed.head->target == "/x?y");
  CHECK(parsed.head->value(KnownHeader::host) == "a");
  CHECK(parsed.head->chunked);
  CHECK(parse("GET / HTTP/1.7\r\n\r\n").refusal.status == 400);
}

TEST_CASE("Host occurs exactly once and is valid", "[http][parser]") {
  CHECK(parse("GET / HTTP/1.1\r\n\r\n").refusal.status == 400);
  CHECK(parse("GET / HTTP/1.0\r\n\r\n").refusal.status == 0);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").refusal.status == 400);
  for (const std::string host :
       {"a b",     "a/b",       "a@b",         "a:b",   "a:123456",   "[::1",   "[x]",     "a,b",  ":80",
        "a:65536", "[1.2.3.4]", "[]",          "[:::]", "[::1%eth0]", "[v1.a]", "[::1]80", "a%",   "a%2",
        "a%2g",    "a%zz:80",   "caf\xc3\xa9", "a\\b",  "a#b",        "a?b",    "a:b@c",   "\"a\""}) {
    CAPTURE(host);
    CHECK(parse("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").refusal.status == 400);
  }
  for (const std::string host :
       {"", "a", "a:80", "127.0.0.1:8080", "[::1]", "[::1]:8080", "a-b.c_d", "a:", "[::1]:", "a:65535", "a%2Cb",
        "%C3%A9", "xn--caf-dma.example", "a.", "[2001:db8::192.0.2.7]", "~!$&'()*+;=", "1.2.3.4.5"}) {
    CAPTURE(host);
    CHECK(parse("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").refusal.status == 0);
  }
}

TEST_CASE("a length that two parsers could read differently is refused", "[http][parser]") {
  CHECK(*parse_fields("Content-Length: 12\r\n").head->content_length == 12);
  CHECK(*parse_fields("Content-Length: " + std::string(300, '0') + "12\r\n").head->content_length == 12);
  CHECK(*parse_fields("Content-Length: 000\r\n").head->content_length == 0);
  for (const std::string value :
       {"", "+1", "-1", "0x10", "1 2", "1\t2", "1,1", "1, 1", "99999999999999999999", "1a", "0 1"}) {
    CAPTURE(value);
    CHECK(parse_fields("Content-Length: " + value + "\r\n").refusal.status == 400);
  }
  for (const std::string fields :
       {"Content-Length: 1\r\nContent-Length: 1\r\n", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"}) {
    CAPTURE(fields);
    const Refusal refusal = parse_fields(fields).refusal;
    CHECK(refusal.status == 400);
    CHECK(refusal.reason == std::string_view("Content-Length is repeated, or together with Transfer-Encoding"));
  }
}

TEST_CASE("chunked is the last transfer coding, once", "[http][parser]") {
  CHECK(parse_fields("Transfer-Encoding: Chunked\r\n").head->chunked);
  CHECK(parse_fields("Transfer-Encoding: gzip, chunked\r\n").refusal.status == 501);
  for (const std::string value : {"gzip", "chunked, gzip", "chunked, chunked", "xchunked", "chunked;q=1", "", ",",
                                  ", chunked", "gzip,,chunked"}) {
    CAPTURE(value);
    CHECK(parse_fields("Transfer-Encoding: " + value + "\r\n").refusal.status == 400);
  }
  CHECK(parse_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n").refusal.status == 400);
  CHECK(parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").refusal.status == 400);
}

TEST_CASE("a field name is a token directly before its colon", "[http][parser]") {
  for (const std::string field : {"X : a", "X\t: a", ": a", "X Y: a", "X(: a", "no colon"}) {
    CAPTURE(field);
    CHECK(parse_fields(field + "\r\n").refusal.status == 400);
  }
}

TEST_CASE("expectations other than 100-continue are refused", "[http][parser]") {
  CHECK(parse_fields("Expect: 100-Continue\r\n").head->expect_continue);
  CHECK(parse_fields("Expect: ,100-continue, \r\nExpect: 100-continue\r\n").head->expect_continue);
  CHECK(parse_fields("Expect: 200-maybe\r\n").refusal.status == 417);
  CHECK(parse_fields("Expect: 100-continue, 200-maybe\r\n").refusal.status == 417);
  CHECK(parse_fields("Expect: 100-continue\r\nExpect: 200-maybe\r\n").refusal.status == 417);
  CHECK(parse_fields("Expect:\r\n").refusal.status == 0);  // what curl -H 'Expect;' sends
}

TEST_CASE("limits have their own statuses", "[http][parser]") {
  HttpLimits limits;
  limits.max_request_line = 50;
  limits.max_header_bytes = 100;
  limits.max_header_fields = 2;
  CHECK(parse("GET /" + std::string(60, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", limits).refusal.status == 414);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(100, 'a') + "\r\n\r\n", limits).refusal.status == 431);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\n\r\n", limits).refusal.status == 431);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n", limits).refusal.status == 0);
}
