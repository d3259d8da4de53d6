// A supervisor of another version wrote a state with other keys, and the new program ended without taking over.
#include "supervisor/upgrade/resume_state.h"

#include <nlohmann/json.hpp>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;
using nlohmann::json;

namespace {

ResumeState state() {
  ResumeState state;
  state.pid = 42;
  state.generation = 3;
  state.last_generation = 5;
  state.target = 2;
  state.config.session_cookie = "other";
  state.scoreboard_fd = 7;
  state.control_fd = 8;
  state.workers.push_back({.worker = {.pid = 43, .slot = 1, .row = 2, .state = WorkerState::ready}, .channel_fd = 9});
  state.history = {{.at = 100, .requests = 7, .errors = 1, .restarts = 2, .p50_us = 3, .p99_us = 4}, {.at = 110}};
  return state;
}

json record() { return json::parse(serialise(state())); }

}  // namespace

TEST_CASE("the state survives the way to the new program", "[upgrade]") {
  const ResumeState back = parse_resume_state(serialise(state()));
  CHECK(back.pid == 42);
  CHECK(back.generation == 3);
  CHECK(back.last_generation == 5);
  CHECK(back.target == 2);
  CHECK(back.config.session_cookie == "other");
  REQUIRE(back.workers.size() == 1);
  CHECK(back.workers[0].worker.slot == 1);
  CHECK(back.workers[0].worker.row == 2);
  CHECK(back.workers[0].channel_fd == 9);
  REQUIRE(back.history.size() == 2);
  const HistoryPoint& point = back.history[0];
  CHECK(point.at == 100);
  CHECK(point.requests == 7);
  CHECK(point.errors == 1);
  CHECK(point.restarts == 2);
  CHECK(point.p50_us == 3);
  CHECK(point.p99_us == 4);
}

TEST_CASE("keys of another version are ignored, and missing ones have defaults", "[upgrade]") {
  json other = record();
  other["of_a_later_version"] = {{"a", 1}};
  other["workers"][0]["of_a_later_version"] = true;
  for (const char* name : {"last_generation", "target", "set_by_hand", "previous_generation", "redis_pid",
                           "admin_listeners", "runtime_lock_fd", "started_ms"}) {
    other.erase(name);
  }
  other["workers"][0].erase("kill_at_ms");
  json config = json::parse(other.at("config").get<std::string>());
  config.erase("canary");
  config["of_a_later_version"] = "x";
  other["config"] = config.dump();
  const ResumeState back = parse_resume_state(other.dump());
  CHECK(back.last_generation == 3);
  CHECK(back.target == back.config.min_workers);
  CHECK(back.config.session_cookie == "other");
  CHECK(back.workers.size() == 1);
}

// An upgrade to a build whose scoreboard has another layout lost the hour of the status page.
TEST_CASE("a history of another version never prevents an upgrade", "[upgrade]") {
  json other = record();
  other["history"][0]["of_a_later_version"] = "x";
  other["history"][1].erase("p99_us");
  CHECK(parse_resume_state(other.dump()).history.size() == 2);
  for (const json& history :
       {json("text"), json(7), json{{"at", 1}}, json::array({1, 2}), json::array({{{"at", "x"}}})}) {
    INFO(history.dump());
    other["history"] = history;
    CHECK(parse_resume_state(other.dump()).history.empty());
  }
  other.erase("history");
  CHECK(parse_resume_state(other.dump()).history.empty());
}

TEST_CASE("a state without what cannot be guessed is refused", "[upgrade]") {
  for (const char* name : {"pid", "scoreboard_fd", "control_fd", "config", "listeners", "workers"}) {
    INFO(name);
    json other = record();
    other.erase(name);
    CHECK_THROWS(parse_resume_state(other.dump()));
  }
  json other = record();
  other["workers"][0]["state"] = 99;
  CHECK_THROWS(parse_resume_state(other.dump()));
  CHECK_THROWS(parse_resume_state("no JSON"));
}
