#include "worker/admin/metrics_text.h"

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/common/ipc/board_fixture.h"

using namespace pronghorn;

namespace {

struct Exposed {
  std::map<std::string, double> samples;     // by name and labels, as written
  std::map<std::string, std::string> types;  // by family
  std::vector<std::string> malformed;
};

std::string family_of(const std::string& name, const Exposed& exposed) {
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (name.ends_with(suffix)) {
      const std::string family = name.substr(0, name.size() - suffix.size());
      if (exposed.types.contains(family) && exposed.types.at(family) == "histogram") return family;
    }
  }
  return name;
}

// Reads what prometheus_metrics() wrote, by the grammar of the text format 0.0.4.
Exposed read_exposition(const std::string& text) {
  static const std::regex kSample(
      R"re(([a-z_][a-z0-9_]*)(\{[a-z]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z]+="(?:[^"\\\n]|\\[\\"n])*")*\})? (\S+))re");
  static const std::regex kType(R"(# TYPE ([a-z_][a-z0-9_]*) (counter|gauge|histogram))");
  static const std::regex kHelp(R"(# HELP [a-z_][a-z0-9_]* \S.*)");
  Exposed exposed;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, kType)) {
      if (!exposed.types.emplace(match[1], match[2]).second) exposed.malformed.push_back("twice: " + line);
    } else if (std::regex_match(line, match, kSample)) {
      const bool known = exposed.types.contains(family_of(match[1], exposed));
      const bool is_new = exposed.samples.emplace(match[1].str() + match[2].str(), std::stod(match[3])).second;
      if (!known || !is_new) exposed.malformed.push_back(line);
    } else if (!std::regex_match(line, kHelp)) {
      exposed.malformed.push_back(line);
    }
  }
  return exposed;
}

double sum_of(const Exposed& exposed, const std::string& prefix) {
  double sum = 0;
  for (const auto& [name, value] : exposed.samples) {
    if (name.starts_with(prefix)) sum += value;
  }
  return sum;
}

}  // namespace

TEST_CASE("the metrics are a valid exposition") {
  const std::string text = prometheus_metrics(make_board());
  const Exposed exposed = read_exposition(text);
  for (const std::string& line : exposed.malformed) FAIL_CHECK(line);
  CHECK(text.back() == '\n');
  for (const auto& [name, type] : exposed.types) {
    INFO(name);
    CHECK(name.starts_with("pronghorn_"));
    CHECK((type == "counter") == name.ends_with("_total"));
  }
}

TEST_CASE("counters add up over old and new workers") {
  const Exposed exposed = read_exposition(prometheus_metrics(make_board()));
  CHECK(exposed.samples.at("pronghorn_requests_total{slot=\"0\"}") == 30);
  CHECK(exposed.samples.at("pronghorn_requests_total{slot=\"1\"}") == 7);
  CHECK(sum_of(exposed, "pronghorn_responses_total{") == 37);
  CHECK(exposed.samples.at("pronghorn_responses_total{slot=\"0\",code=\"5xx\"}") == 2);
  CHECK(exposed.samples.at("pronghorn_worker_restarts_total{slot=\"1\"}") == 3);
  CHECK(exposed.samples.at("pronghorn_route_requests_total{route=\"GET /users/{id}\"}") == 24);
  CHECK(exposed.samples.at("pronghorn_workers{state=\"ready\"}") == 1);
  CHECK(exposed.samples.at("pronghorn_workers{state=\"backoff\"}") == 1);
  CHECK(exposed.samples.at("pronghorn_redis_up") == 1);
  CHECK(exposed.samples.at("pronghorn_worker_resident_memory_bytes{slot=\"1\"}") == 0);
}

TEST_CASE("WebSockets are counted by route, and only where there are any") {
  Scoreboard board = make_board();
  const Exposed none = read_exposition(prometheus_metrics(board));
  CHECK(none.types.contains("pronghorn_route_websockets"));
  CHECK(sum_of(none, "pronghorn_route_websocket") == 0);
  set_sockets(board.worker(0, 0).routes[0].sockets, 10);
  const Exposed exposed = read_exposition(prometheus_metrics(board));
  CHECK(exposed.malformed.empty());
  const auto value = [&exposed](const std::string& name, const std::string& more) {
    return exposed.samples.at("pronghorn_route_" + name + "{route=\"GET /hello\"" + more + "}");
  };
  CHECK(value("websockets", "") == 10);
  CHECK(value("websocket_queued_bytes", "") == 20);
  CHECK(value("websocket_messages_total", ",direction=\"received\"") == 30);
  CHECK(value("websocket_messages_total", ",direction=\"sent\"") == 40);
  CHECK(value("websocket_bytes_total", ",direction=\"received\"") == 50);
  CHECK(value("websocket_bytes_total", ",direction=\"sent\"") == 60);
  CHECK(value("websocket_skipped_total", "") == 70);
  CHECK_FALSE(exposed.samples.contains("pronghorn_route_websockets{route=\"GET /users/{id}\"}"));
}

TEST_CASE("no counter goes down when a worker is replaced or its slot scaled away") {
  Scoreboard board = make_board();
  const Exposed before = read_exposition(prometheus_metrics(board));
  board.slot(0).pid = 5000;
  board.slot(0).old_pid = 0;
  take_row(board.worker(0, 1));
  board.server().slots = 1;
  const Exposed after = read_exposition(prometheus_metrics(board));
  for (const auto& [name, value] : before.samples) {
    const std::string family = family_of(name.substr(0, name.find('{')), before);
    if (before.types.at(family) == "gauge") continue;
    INFO(name);
    REQUIRE(after.samples.contains(name));
    CHECK(after.samples.at(name) >= value);
  }
}

TEST_CASE("latency buckets are cumulative and end at the count") {
  Scoreboard board = make_board();
  for (std::uint64_t us = 1; us < 100'000'000; us = us * 2 + 1) board.worker(0, 0).latency.record(us);
  const std::string text = prometheus_metrics(board);
  const Exposed exposed = read_exposition(text);
  std::istringstream lines(text);
  double last = 0;
  std::size_t buckets = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("pronghorn_request_duration_seconds_bucket")) continue;
    const double count = std::stod(line.substr(line.rfind(' ')));
    CHECK(count >= last);
    last = count;
    ++buckets;
  }
  CHECK(buckets == 19);
  CHECK(exposed.samples.at("pronghorn_request_duration_seconds_count") == last);
}

TEST_CASE("latencies fall into the bucket of their size") {
  const Exposed exposed = read_exposition(prometheus_metrics(make_board()));
  // 17 requests took 1 ms, 20 took 3 ms.
  CHECK(exposed.samples.at("pronghorn_request_duration_seconds_bucket{le=\"0.0005\"}") == 0);
  CHECK(exposed.samples.at("pronghorn_request_duration_seconds_bucket{le=\"0.0025\"}") == 17);
  CHECK(exposed.samples.at("pronghorn_request_duration_seconds_bucket{le=\"0.005\"}") == 37);
  const double sum = exposed.samples.at("pronghorn_request_duration_seconds_sum");
  CHECK(sum > 0.077 * 0.95);
  CHECK(sum < 0.077 * 1.05);
  CHECK(exposed.samples.at("pronghorn_route_request_duration_seconds_bucket{route=\"GET /hello\",le=\"0.0005\"}") == 0);
}

TEST_CASE("a route with any bytes in its name keeps the exposition valid") {
  Scoreboard board = make_board();
  board.worker(0, 0).routes[0].route.set("GET /\"\\\n\xff{x}");
  const Exposed exposed = read_exposition(prometheus_metrics(board));
  for (const std::string& line : exposed.malformed) FAIL_CHECK(line);
  CHECK(exposed.samples.contains("pronghorn_route_requests_total{route=\"GET /\\\"\\\\\\n\uFFFD{x}\"}"));
}
