// --slow-request: a warning for each request that takes longer.
#include <string>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

ServerOptions limited(const std::string& limit) {
  return {.workers = 1, .arguments = {"--slow-request", limit, "--access-log", "none"}};
}

}  // namespace

TEST_CASE("a request that takes longer than slow_request is logged with its route, time and id", "[log]") {
  const ServerProcess server(limited("20ms"));
  const HttpResponse response = get(server.address(), "/slow?ms=50", {{"User-Agent", "test"}});
  CHECK(response.status == 200);
  REQUIRE(eventually(10s, [&] { return !server.log_lines("slow request: GET /slow took ").empty(); }));
  const std::string line = server.log_lines("slow request: GET /slow took ").at(0);
  INFO(line);
  CHECK(line.find(" warn ") != std::string::npos);
  const std::size_t took = line.find(" took ") + 6;
  CHECK(std::stod(line.substr(took)) >= 0.05);
  CHECK(line.find(" s ", took) != std::string::npos);
  const std::string id = response.header("X-Request-Id");
  CHECK_FALSE(id.empty());
  CHECK(line.find("request=" + id) != std::string::npos);
  CHECK(line.find("route=/slow ") != std::string::npos);
  CHECK(line.find("status=200") != std::string::npos);
  CHECK(line.find("client=127.0.0.1") != std::string::npos);
}

TEST_CASE("a slow request whose client has left is logged, too", "[log]") {
  const ServerProcess server(limited("20ms"));
  {
    HttpConnection leaving(server.address());
    leaving.send_raw("GET /slow?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
    REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("in_flight") >= 2; }));
  }
  REQUIRE(eventually(20s, [&] { return !server.log_lines("slow request: GET /slow took ").empty(); }));
  CHECK(server.log_lines("slow request: GET /slow took ").at(0).find("status=499") != std::string::npos);
}

TEST_CASE("a request whose client resets the connection while its handler blocks is logged as 499", "[log]") {
  const ServerProcess server({.workers = 1, .arguments = {"--access-log", "access.log"}});
  const auto says = [](const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; };
  HttpConnection leaving(server.address());
  leaving.send_raw("GET /block?ms=4000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(10s, [&] { return says(server.control_command({"requests"}).out, "GET /block"); }));
  leaving.abort();
  REQUIRE(eventually(20s, [&] { return says(read_file(server.file("access.log")), "GET /block"); }));
  CHECK(says(read_file(server.file("access.log")), " 499 0 "));
  CHECK(server.status().at("lost_requests").at("client_left") == 1);
}

TEST_CASE("requests below slow_request are not logged, and by default none is", "[log]") {
  for (const char* limit : {"10m", "0"}) {
    CAPTURE(limit);
    ServerProcess server(limited(limit));
    CHECK(get(server.address(), "/slow?ms=50").status == 200);
    CHECK(server.stop().has_value());  // everything has been written
    CHECK_FALSE(server.log_has("slow request"));
  }
}
