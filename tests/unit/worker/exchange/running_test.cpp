#include "worker/exchange/running.h"

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "common/log.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/log_lines.h"
#include "support/temp_dir.h"
#include "unit/worker/runtime/test_loop.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/routing/served_app.h"
#include "worker/testing/client/collected_response.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

const RunningRequest* journal = nullptr;

// "GET /path" of the request that the journal names, with a check that its id is this request's; "nobody".
std::string told(Request& request) {
  if (journal->active.load() == 0) return "nobody";
  CHECK(to_string(journal->id) == request.id());
  return line_of(*journal);
}

void app_under_test(App& app) {
  app.get("/plain", [](Request& request) { return text(told(request)); });
  app.get("/waits", [](Request& request) -> Task<Response> {
    const std::string before = told(request);
    co_await sleep_for(1ms);
    co_return text(before + ", " + told(request));
  });
}

}  // namespace

TEST_CASE("the running request is named in the worker's row, and none is while it waits", "[running]") {
  TestLoop loop;
  const Config config;
  const auto row = std::make_unique<WorkerRow>();
  journal = &row->running;
  ServedApp application(config, *row, app_under_test);
  const auto serve = [&](const std::string& path) {
    CollectedResponse collected;
    Exchange exchange;
    exchange.owner = &collected;
    exchange.started = std::chrono::steady_clock::now();
    exchange.head_bytes = "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
    REQUIRE(parse_head(exchange.head_bytes, exchange.head_bytes.find('\r'), config.http, exchange.head).status == 0);
    application.handle(exchange);
    CHECK(row->running.active == 0);
    loop.run_until([&] { return collected.complete(); });
    CHECK(row->running.active == 0);
    CHECK(running_exchange() == nullptr);
    const std::string body = collected.take().body;
    exchange.clear();
    return body;
  };
  CHECK(serve("/plain") == "GET /plain");
  CHECK(serve("/waits") == "GET /waits, GET /waits");
  // What does not fit is cut.
  CHECK(serve("/plain?" + std::string(500, 'x')) == "GET /plain");
}

TEST_CASE("lines that a handler logs carry the id of its request, also after it has waited", "[running][log]") {
  const test::TempDir directory;
  const std::string file = directory / "log";
  open_log({.format = "text", .level = "info", .file = file, .process = "test"});
  TestClient client([](App& app) {
    app.get("/", [](Request& request) -> Task<Response> {
      log::info("before", {"number", 1});
      co_await sleep_for(1ms);
      log::warning("after", {"flag", true}, {"text", "a b"});
      co_return text(std::string(request.id()));
    });
  });
  const std::string id = client.get("/").body;
  log::info("outside");
  open_log({});
  const std::string lines = test::read_file(file);
  INFO(lines);
  const auto line_with = [&lines](std::string_view word) {
    const std::size_t position = lines.find(word);
    REQUIRE(position != std::string::npos);
    return lines.substr(position, lines.find('\n', position) - position);
  };
  CHECK(line_with("before").find("request=" + id) != std::string::npos);
  CHECK(line_with("before").find("number=1") != std::string::npos);
  CHECK(line_with("after").find("request=" + id) != std::string::npos);
  CHECK(line_with("after").find("flag=true") != std::string::npos);
  CHECK(line_with("outside").find("request=") == std::string::npos);
}

TEST_CASE("a log line takes any number of fields, in their order", "[running][log]") {
  const test::LogLines lines;
  log::info("eight", {"a", 1}, {"b", "x"}, {"c", true}, {"d", 4}, {"e", 5}, {"f", 6}, {"g", 7}, {"h", 8});
  CHECK(lines.with("eight a=1 b=x c=true d=4 e=5 f=6 g=7 h=8") == 1);
  std::vector<log::Field> fields;
  std::string text = "forty";
  for (int i = 0; i < 40; ++i) {
    fields.emplace_back("n", i);
    text += " n=" + std::to_string(i);
  }
  log::info("forty", fields);
  CHECK(lines.with(text) == 1);
}

// With six decimals, a share of 0.0000001 was logged as 0.000000.
TEST_CASE("a number with a fraction is logged as the shortest text that reads back as it", "[running][log]") {
  const test::LogLines lines;
  log::info("fractions", {"total", 12.5}, {"share", 1e-7}, {"single", 0.1F}, {"whole", 3.0});
  CHECK(lines.with("fractions total=12.5 share=1e-07 single=0.1 whole=3") == 1);
}
