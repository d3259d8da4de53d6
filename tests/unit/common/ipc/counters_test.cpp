#include "common/ipc/counters.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "common/ipc/status/status.h"
#include "support/catch.h"
#include "support/paths.h"
#include "unit/common/ipc/board_fixture.h"
#include "worker/admin/metrics_text.h"

using namespace pronghorn;
using nlohmann::json;

namespace {

// A power of two for each writer, so that a sum shows which one was left out.
Scoreboard board_with(Count count) {
  Scoreboard board = Scoreboard::create();
  board.server().slots = 1;
  board.slot(0).state = SlotState::ready;
  board.slot(0).pid = 10;
  board.slot(0).old_pid = 11;
  for (std::uint32_t row = 0; row < kRowsPerSlot; ++row) {
    board.worker(0, row).pid = 10 + row;
    board.worker(0, row).stamp_ms = monotonic_ms();
  }
  add(board.worker(0, 0)[count], 1000);
  add(board.worker(0, 1)[count], 2000);
  if (!is_gauge(facts_of(count).kind)) add(board.slot(0)[count], 4000);
  return board;
}

double expected_of(CounterKind kind) {
  if (kind == CounterKind::gauge) return 3000;
  return kind == CounterKind::worst_time || kind == CounterKind::highest ? 2000 : 7000;
}

std::string sample_name(const CounterFacts& facts) {
  const std::string more = facts.label.empty() ? "" : "," + std::string(facts.label);
  return "pronghorn_" + std::string(facts.family) + "{slot=\"0\"" + more + "}";
}

std::string status_page_of_docs() {
  std::ifstream file(test::source_path("/docs/status.md"));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("whatever is counted, by whichever process, is in /status and in /metrics") {
  for (std::size_t i = 0; i < kCounts; ++i) {
    const auto count = static_cast<Count>(i);
    const CounterFacts& facts = facts_of(count);
    INFO(facts.path);
    const Scoreboard board = board_with(count);
    const double expected = expected_of(facts.kind);

    const json::json_pointer path("/" + std::string(facts.path));
    const json status = status_json(board);
    CHECK(status["totals"].at(path).get<double>() == (is_time(facts.kind) ? expected / 1e3 : expected));
    CHECK(status["workers"][0].at(path) == status["totals"].at(path));

    const std::string metrics = prometheus_metrics(board);
    const std::size_t at = metrics.find("\n" + sample_name(facts) + " ");
    REQUIRE(at != std::string::npos);
    const double value = std::stod(metrics.substr(at + sample_name(facts).size() + 2));
    CHECK(value == (is_time(facts.kind) ? expected / 1e6 : expected));
  }
}

TEST_CASE("a counter's names follow the rules of the table") {
  std::set<std::string_view> paths;
  std::set<std::string> samples;
  std::set<std::string_view> families;
  std::string_view family;
  for (const CounterFacts& facts : kCounterFacts) {
    INFO(facts.path);
    CHECK(paths.insert(facts.path).second);
    CHECK(samples.insert(sample_name(facts)).second);
    CHECK(facts.family.ends_with("_total") == !is_gauge(facts.kind));
    CHECK((facts.family.find("_seconds") != std::string_view::npos) == is_time(facts.kind));
    CHECK(facts.path.ends_with("_ms") == is_time(facts.kind));
    CHECK(facts.help.ends_with('.'));
    if (facts.family != family) CHECK(families.insert(facts.family).second);  // else its members are apart
    family = facts.family;
  }
}

TEST_CASE("every metric is explained in docs/status.md") {
  const std::string page = status_page_of_docs();
  std::istringstream lines(prometheus_metrics(make_board()));
  int families = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("# TYPE ")) continue;
    const std::string family = line.substr(7, line.find(' ', 7) - 7);
    INFO(family);
    ++families;
    CHECK(page.find("`" + family + "`") != std::string::npos);
  }
  CHECK(families > 50);
}

TEST_CASE("every counter is explained in docs/status.md") {
  const std::string page = status_page_of_docs();
  REQUIRE_FALSE(page.empty());
  for (const CounterFacts& facts : kCounterFacts) {
    const std::string path(facts.path);
    INFO(path);
    CHECK(page.find("`pronghorn_" + std::string(facts.family) + "`") != std::string::npos);
    CHECK(page.find("`" + path.substr(0, path.find('/')) + "`") != std::string::npos);
    CHECK(page.find("`" + path.substr(path.rfind('/') + 1) + "`") != std::string::npos);
  }
}
