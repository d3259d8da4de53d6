// What JobService tells of single jobs.
#include <charconv>
#include <cmath>

#include "worker/state/jobs/job_service.h"
#include "worker/state/jobs/queue/job_scripts.h"

namespace pronghorn::worker {
namespace {

double number(const Reply& reply) {
  const std::string& text = reply.string();
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc{} && std::isfinite(value) ? value : 0;
}

std::chrono::system_clock::time_point moment(const Reply& reply) {
  constexpr double kLatest = 8e12;  // ms; the year 2223
  return std::chrono::system_clock::time_point(
      std::chrono::milliseconds(static_cast<std::int64_t>(std::min(std::max(number(reply), 0.0), kLatest))));
}

unsigned count(const Reply& reply) { return static_cast<unsigned>(reply.integer()); }

JobState state_named(const std::string& name) {
  for (const JobState state : {JobState::running, JobState::done, JobState::failed, JobState::dead}) {
    if (to_string(state) == name) return state;
  }
  return JobState::waiting;
}

std::vector<int> read_pids(const std::string& text) {
  std::vector<int> pids;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    int pid = 0;
    if (std::from_chars(text.data() + begin, text.data() + end, pid).ec == std::errc{}) pids.push_back(pid);
    begin = end + 1;
  }
  return pids;
}

}  // namespace

Task<std::optional<JobStatus>> JobService::find(std::string id) {
  const std::string name(name_in_id(id));
  if (name.empty()) co_return std::nullopt;
  std::vector<std::string> args{id};
  const Reply reply = co_await call(find_script(), name, std::move(args));
  if (reply.is_nil()) co_return std::nullopt;
  const Reply::Array& facts = reply.array();
  if (facts.size() != 11) throw RedisError("unexpected reply to a script");
  JobStatus status;
  status.id = std::move(id);
  status.state = state_named(facts[0].string());
  status.attempts = count(facts[1]);
  status.failures = count(facts[2]);
  status.kills = count(facts[3]);
  status.enqueued = moment(facts[4]);
  status.due = moment(facts[5]);
  status.progress = number(facts[6]);
  status.reason = facts[7].string();
  status.crash_report = facts[8].string();
  status.pids = read_pids(facts[9].string());
  if (facts[10].is_string()) status.result = facts[10].string();
  co_return status;
}

Task<std::vector<std::string>> JobService::ids(std::string name, JobState state, std::size_t most) {
  std::vector<std::string> args{std::string(to_string(state)), std::to_string(most)};
  const Reply reply = co_await call(list_script(), name, std::move(args));
  std::vector<std::string> found;
  for (const Reply& id : reply.array()) found.push_back(id.string());
  co_return found;
}

Task<std::string> JobService::payload(std::string id) {
  const std::string name(name_in_id(id));
  if (name.empty()) co_return std::string();
  std::vector<std::string> args{std::move(id)};
  const Reply reply = co_await call(payload_script(), name, std::move(args));
  co_return reply.is_string() ? reply.string() : std::string();
}

}  // namespace pronghorn::worker
