// Whatever refuses a request, the response passes through the application's error hook and has the fields that its
// after middleware adds.
#include "support/catch.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

const std::string kOrigin = "Origin: https://shop.example\r\n";

ServerOptions options(const std::string& hook, std::vector<std::string> arguments = {}, int workers = 1) {
  Environment environment = kPlainSignals;
  environment.emplace_back("PRONGHORN_APP_HOOK", hook);
  return {.app = app_path("apps/refusals"),
          .workers = workers,
          .arguments = std::move(arguments),
          .environment = std::move(environment)};
}

void check_dressed(const HttpResponse& response, int status, const std::string& hook) {
  CHECK(response.status == status);
  CHECK(response.body.starts_with("sorry: "));
  CHECK(response.body.find("worker") == std::string::npos);
  CHECK(response.header("X-Content-Type-Options") == "nosniff");
  CHECK(response.header("X-After") == (hook == "waits" ? "waited" : ""));
}

HttpResponse sent(const ServerProcess& server, const std::string& bytes) {
  HttpConnection connection(server.address());
  connection.send_raw(bytes);
  HttpResponse response = connection.read_response();
  CHECK(connection.closed_within(5s));
  return response;
}

}  // namespace

TEST_CASE("malformed and too large requests are refused through the error hook with the usual fields",
          "[http][errors]") {
  const std::string hook = GENERATE("answers", "waits");
  const ServerProcess server(options(hook, {"--max-request-line", "1KiB", "--max-header-bytes", "4KiB"}));
  const std::string host = "Host: a\r\n" + kOrigin;
  check_dressed(sent(server, "GET / HTTP/1.1\r\nHost: a b\r\n" + kOrigin + "\r\n"), 400, hook);
  check_dressed(sent(server, "GET / HTTP/2.0\r\n" + host + "\r\n"), 505, hook);
  check_dressed(sent(server, "GET /" + std::string(3000, 'a') + " HTTP/1.1\r\n" + host + "\r\n"), 414, hook);
  check_dressed(sent(server, "GET / HTTP/1.1\r\n" + host + "X: " + std::string(9000, 'a') + "\r\n\r\n"), 431, hook);
  check_dressed(sent(server, "POST /unread HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nno size\r\n"), 400,
                hook);
  HttpResponse large = sent(server, "POST /body HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n400\r\n");
  check_dressed(large, 413, hook);
  CHECK(large.header("Access-Control-Allow-Origin") == "https://shop.example");
  CHECK(get(server.address(), "/").status == 200);
}

TEST_CASE("requests that do not arrive in time are refused through the error hook with the usual fields",
          "[http][errors]") {
  const std::string hook = GENERATE("answers", "waits");
  const ServerProcess server(options(hook, {"--header-timeout", "300ms", "--body-timeout", "300ms"}));
  check_dressed(sent(server, "GET / HTTP/1.1\r\nHost: a"), 408, hook);
  const HttpResponse unread =
      sent(server, "POST /unread HTTP/1.1\r\nHost: a\r\n" + kOrigin + "Content-Length: 5\r\n\r\na");
  check_dressed(unread, 408, hook);
  CHECK(unread.header("Access-Control-Allow-Origin") == "https://shop.example");
}

TEST_CASE("a full server refuses through the error hook with the usual fields", "[http][errors]") {
  const std::string hook = GENERATE("answers", "waits");
  const ServerProcess server(options(hook, {"--max-connections", "3", "--max-in-flight", "1"}));
  HttpConnection slow(server.address());
  HttpConnection waiting(server.address());
  slow.send_raw("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
  // It and /status itself. Before that, the next request could take its place.
  REQUIRE(eventually(10s, [&] { return server.worker(0).at("in_flight") == 2; }));
  const HttpResponse busy = waiting.get("/", {{"Origin", "https://shop.example"}});
  check_dressed(busy, 503, hook);
  CHECK(busy.header("Access-Control-Allow-Origin") == "https://shop.example");
  CHECK(busy.header("Retry-After") == "1");
  slow.send_raw("b");
  CHECK(slow.read_response().status == 200);
  HttpConnection third(server.address());
  CHECK(third.get("/").status == 200);
  const HttpResponse full = get(server.address(), "/", {{"Origin", "https://shop.example"}});
  check_dressed(full, 503, hook);
  CHECK(full.header("Access-Control-Allow-Origin") == "https://shop.example");
  CHECK(full.header("Retry-After") == "1");
}

TEST_CASE("a quarantined request is refused through the error hook with the usual fields", "[quarantine][errors]") {
  const std::string hook = GENERATE("answers", "waits");
  const ServerProcess server(options(hook, {}, 2));
  const auto kill = [&] {
    try {
      return get(server.address(), "/kill", {{"Origin", "https://shop.example"}});
    } catch (const ClientError&) {
      return HttpResponse{};
    }
  };
  HttpResponse refused;
  REQUIRE(eventually(20s, [&] {
    refused = kill();
    return refused.status == 503 &&
           refused.header("Retry-After").size() == 3;  // not because a second worker died of it
  }));
  check_dressed(refused, 503, hook);
  CHECK(refused.header("Access-Control-Allow-Origin") == "https://shop.example");
  CHECK(std::stoi(refused.header("Retry-After")) > 500);
}
