// deploy/prometheus and deploy/grafana match the server's metrics.
#include <filesystem>
#include <regex>
#include <set>

#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// "pronghorn_requests_total", without the suffixes of a histogram's samples.
std::set<std::string> metrics_in(const std::string& text) {
  static const std::regex kMetric("pronghorn_[a-z0-9_]+");
  static const std::regex kSuffix("_(bucket|sum|count)$");
  std::set<std::string> names;
  for (std::sregex_iterator found(text.begin(), text.end(), kMetric), end; found != end; ++found) {
    names.insert(std::regex_replace(found->str(), kSuffix, ""));
  }
  return names;
}

// Of "# TYPE" lines: a counter without samples is there too.
std::set<std::string> families_of(const ServerProcess& server) {
  static const std::regex kType("# TYPE (pronghorn_[a-z0-9_]+) ");
  const std::string text = get(server.address(), "/metrics").body;
  std::set<std::string> names;
  for (std::sregex_iterator found(text.begin(), text.end(), kType), end; found != end; ++found) {
    names.insert((*found)[1].str());
  }
  return names;
}

}  // namespace

TEST_CASE("every metric in the alerts, their tests and the dashboard exists", "[packaging][metrics]") {
  const ServerProcess server({.workers = 1});
  const std::set<std::string> families = families_of(server);
  REQUIRE(families.contains("pronghorn_request_duration_seconds"));
  for (const char* file : {"/deploy/prometheus/pronghorn-alerts.yaml", "/deploy/prometheus/pronghorn-alerts-test.yaml",
                           "/deploy/grafana/pronghorn.json"}) {
    const std::set<std::string> named = metrics_in(read_file(source_path(file)));
    CHECK(named.size() > 5);
    for (const std::string& name : named) {
      INFO(file << " names " << name);
      CHECK(families.contains(name));
    }
  }
}

TEST_CASE("promtool accepts the alerts, and each fires when it must", "[packaging][metrics]") {
  const std::string alerts = read_file(source_path("/deploy/prometheus/pronghorn-alerts.yaml"));
  const std::string tests = read_file(source_path("/deploy/prometheus/pronghorn-alerts-test.yaml"));
  static const std::regex kAlert("- alert: ([A-Za-z]+)");
  for (std::sregex_iterator found(alerts.begin(), alerts.end(), kAlert), end; found != end; ++found) {
    INFO((*found)[1].str());
    CHECK(tests.find("- name: " + (*found)[1].str() + "\n") != std::string::npos);
  }
  if (!std::filesystem::exists("/usr/bin/promtool")) {
    WARN("skipped: promtool is not installed (./scripts/setup deploy)");
    return;
  }
  for (const char* what : {"check", "test"}) {
    const std::string file = std::string("pronghorn-alerts") + (what == std::string("test") ? "-test.yaml" : ".yaml");
    const ProgramResult result =
        run_program({"/usr/bin/promtool", what, "rules", file}, {}, 60s, source_path("/deploy/prometheus"));
    INFO(result.all());
    CHECK(result.status == 0);
  }
}
