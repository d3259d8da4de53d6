// Deadlines that a proxy, or the service that calls through it, sets for a request.
#include <string>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

ServerOptions behind_proxy() { return {.workers = 1, .arguments = {"--trusted-proxies", "127.0.0.1"}}; }

std::string in(std::chrono::milliseconds time) {
  const auto at = std::chrono::system_clock::now().time_since_epoch() + time;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at).count();
  const std::string fraction = std::to_string(1000 + ms % 1000).substr(1);
  return std::to_string(ms / 1000) + "." + fraction;
}

}  // namespace

TEST_CASE("a trusted proxy shortens the deadline of a request", "[overload][proxy]") {
  const ServerProcess server(behind_proxy());
  CHECK(get(server.address(), "/slow?ms=8000", {{"Request-Timeout", "0.3"}}).status == 504);
  CHECK(get(server.address(), "/slow?ms=8000", {{"X-Request-Deadline", in(300ms)}}).status == 504);
  CHECK(server.status().at("totals").at("limits").at("deadline") == 2);
}

TEST_CASE("a request whose deadline has passed is answered 504 and not executed", "[overload][proxy]") {
  const ServerProcess server(behind_proxy());
  const pid_t before = server.worker_pids().at(0);
  CHECK(post(server.address(), "/crash?how=exit", {}, {{"Request-Timeout", "0"}}).status == 504);
  CHECK(post(server.address(), "/crash?how=exit", {}, {{"X-Request-Deadline", in(-100ms)}}).status == 504);
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(server.worker_pids().at(0) == before);  // the handler would have ended it
}

TEST_CASE("a deadline that allows the request, or is malformed, changes nothing", "[overload][proxy]") {
  const ServerProcess server(behind_proxy());
  CHECK(get(server.address(), "/slow?ms=100", {{"Request-Timeout", "30"}}).status == 200);
  CHECK(get(server.address(), "/slow?ms=100", {{"Request-Timeout", "soon"}}).status == 200);
  CHECK(get(server.address(), "/slow?ms=100", {{"X-Request-Deadline", "-1"}}).status == 200);
}

TEST_CASE("clients that are no trusted proxies set no deadline", "[overload][proxy]") {
  const ServerProcess server({.workers = 1});
  CHECK(get(server.address(), "/slow?ms=600", {{"Request-Timeout", "0.1"}}).status == 200);
  CHECK(get(server.address(), "/slow?ms=100", {{"X-Request-Deadline", in(-100ms)}}).status == 200);
}
