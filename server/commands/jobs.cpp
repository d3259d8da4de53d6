#include "server/commands/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/text/json_text.h"
#include "server/options/values/values.h"
#include "worker/state/jobs/queue/queue_keys.h"

namespace pronghorn::server {
namespace {

constexpr std::array<std::string_view, 5> kStates{"waiting", "running", "done", "failed", "dead"};

bool is_state(std::string_view text) { return std::ranges::find(kStates, text) != kStates.end(); }

std::uint64_t read_count(const std::string& text) {
  constexpr std::uint64_t kMost = 10'000;
  try {
    if (const std::uint64_t count = parse_count(text); count >= 1 && count <= kMost) return count;
  } catch (const BadValue&) {
  }
  throw UsageError(fmt::format("jobs: --count {}: use a number from 1 to {}", in_quotes(text), kMost));
}

// Also refuses an empty name, which is what a variable that is not set leaves: it must not mean all jobs.
void check_job_name(const std::string& name) {
  if (worker::is_job_name(name)) return;
  throw UsageError(
      fmt::format("jobs: --name {}: a job's name is 1 to 64 letters, digits, '-' or '_'", in_quotes(name)));
}

void check_id(const std::string& action, const std::string& id) {
  if (!worker::name_in_id(id).empty()) return;
  throw UsageError(fmt::format("jobs {}: {} is not the id of a job; \"jobs list\" shows ids", action, in_quotes(id)));
}

}  // namespace

std::string listed_state(const JobCommand& command) { return command.object.empty() ? "dead" : command.object; }

std::string job_request(const JobCommand& command) {
  const std::string action = command.action.empty() ? "stats" : command.action;
  if (command.name) check_job_name(*command.name);
  nlohmann::json request{{"do", action}, {"name", command.name.value_or("")}, {"count", read_count(command.count)}};
  const std::string& object = command.object;
  if (action == "stats") {
    if (!object.empty()) throw UsageError("jobs stats: use --name NAME for the jobs of one name");
  } else if (action == "list") {
    const std::string state = listed_state(command);
    if (!is_state(state)) {
      throw UsageError(
          fmt::format("jobs list: {} is not a state; use waiting, running, done, failed or dead", in_quotes(state)));
    }
    request["state"] = state;
  } else if (action == "show" || action == "retry" || action == "drop") {
    if (object.empty()) throw UsageError(fmt::format("jobs {}: the id of a job is missing", action));
    const bool many = is_state(object);
    if (many &&
        (action == "show" || object == "running" || (action == "retry" && object != "failed" && object != "dead"))) {
      throw UsageError(fmt::format("jobs {0}: use the id of a job{1}", action,
                                   action == "show"    ? ""
                                   : action == "retry" ? ", failed or dead"
                                                       : ", or a state"));
    }
    if (!many) check_id(action, object);
    request[many ? "state" : "id"] = object;
  } else {
    throw UsageError(fmt::format("jobs: {} is unknown; use stats, list, show, retry or drop", in_quotes(action)));
  }
  return dump_json(request);
}

}  // namespace pronghorn::server
