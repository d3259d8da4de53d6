#include "worker/control/job_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include "common/log_format.h"
#include "common/text/json_text.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/jobs.h"
#include "pronghorn/redis.h"
#include "pronghorn/timer.h"
#include "worker/state/jobs/job_service.h"

namespace pronghorn::worker {
namespace {

using nlohmann::json;

// A byte may take six in JSON, and a message has room for 4096.
constexpr std::size_t kMostText = 600;
constexpr std::size_t kMostReason = 200;      // in a list
constexpr std::size_t kMostChanged = 10'000;  // jobs of one name that one command changes
constexpr std::size_t kMostListed = 10'000;
constexpr std::size_t kAtOnce = 64;  // commands in one round trip; each may yield a result of 256 KiB

struct Command {
  std::string action;
  std::string id;
  std::optional<JobState> state;
  std::string name;
  std::size_t count = 50;
};

std::string text_of(const json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<JobState> state_named(const std::string& name) {
  for (const JobState state :
       {JobState::waiting, JobState::running, JobState::done, JobState::failed, JobState::dead}) {
    if (to_string(state) == name) return state;
  }
  return std::nullopt;
}

Command read(const std::string& text) {
  const json object = try_parse_json(text);
  Command command;
  if (!object.is_object()) return command;
  command.action = text_of(object, "do");
  command.id = text_of(object, "id");
  command.state = state_named(text_of(object, "state"));
  command.name = text_of(object, "name");
  const auto count = object.find("count");
  if (count != object.end() && count->is_number_unsigned()) {
    command.count = std::min(count->get<std::size_t>(), kMostListed);
  }
  return command;
}

std::string time_text(std::chrono::system_clock::time_point when) {
  return rfc3339(std::chrono::duration_cast<std::chrono::seconds>(when.time_since_epoch()).count());
}

json facts_of(const JobStatus& job, std::size_t most_reason) {
  json facts{{"id", job.id},
             {"state", std::string(to_string(job.state))},
             {"attempts", job.attempts},
             {"failures", job.failures},
             {"kills", job.kills},
             {"enqueued", time_text(job.enqueued)},
             {"reason", job.reason.substr(0, most_reason)},
             {"crash_report", job.crash_report}};
  if (job.state == JobState::waiting && job.due > std::chrono::system_clock::now()) facts["due"] = time_text(job.due);
  if (job.state == JobState::running) facts["progress"] = job.progress;
  return facts;
}

// Waits while the channel is full: the supervisor reads what is there.
class Answer {
 public:
  Answer(std::uint64_t query, SendMessage send) : query_(query), send_(std::move(send)) {}

  [[nodiscard]] Task<void> row(std::string json_text) const {
    return deliver({MessageKind::jobs_answer, query_, std::move(json_text)});
  }
  [[nodiscard]] Task<void> end(std::string error) const {
    return deliver({MessageKind::jobs_end, query_, std::move(error)});
  }

 private:
  [[nodiscard]] Task<void> deliver(ChannelMessage message) const {
    for (int i = 0; i < kTries && !send_(message); ++i) co_await sleep_for(kPause);
  }

  static constexpr int kTries = 1'000;
  static constexpr std::chrono::milliseconds kPause{5};
  std::uint64_t query_;
  SendMessage send_;
};

Task<std::vector<std::string>> names_of(JobService& service, const Command& command) {
  if (command.name.empty()) return service.names();
  return [](std::string name) -> Task<std::vector<std::string>> {
    co_return std::vector<std::string>{std::move(name)};
  }(command.name);
}

json row_of(const std::string& name, const JobCounts& counts) {
  return {{"name", name},        {"waiting", counts.waiting}, {"running", counts.running},
          {"done", counts.done}, {"failed", counts.failed},   {"dead", counts.dead}};
}

Task<void> stats(JobService& service, const Command& command, const Answer& answer) {
  const std::vector<std::string> names = co_await names_of(service, command);
  for (const std::string& name : names) {
    const JobCounts counts = co_await service.counts_of(name);
    std::string row = dump_json(row_of(name, counts));
    co_await answer.row(std::move(row));
  }
}

// The ids from `begin` on whose commands are sent together: Redis may be far away.
std::span<const std::string> batch_of(const std::vector<std::string>& ids, std::size_t begin) {
  return std::span(ids).subspan(begin, std::min(kAtOnce, ids.size() - begin));
}

Task<void> list(JobService& service, const Command& command, const Answer& answer) {
  const std::vector<std::string> names = co_await names_of(service, command);
  for (const std::string& name : names) {
    const std::vector<std::string> ids =
        co_await service.ids(name, command.state.value_or(JobState::dead), command.count);
    for (std::size_t begin = 0; begin < ids.size(); begin += kAtOnce) {
      std::vector<Task<std::optional<JobStatus>>> asked;
      for (const std::string& id : batch_of(ids, begin)) asked.push_back(service.find(id));
      Task<std::vector<std::optional<JobStatus>>> finding = when_all(std::move(asked));
      const auto found = co_await std::move(finding);
      for (const auto& job : found) {
        if (!job) continue;  // it is forgotten meanwhile
        std::string row = dump_json(facts_of(*job, kMostReason));
        co_await answer.row(std::move(row));
      }
    }
  }
}

// In several rows, because a row has to fit into a message.
Task<void> show(JobService& service, const Command& command, const Answer& answer) {
  const auto job = co_await service.find(command.id);
  if (!job) throw std::invalid_argument("there is no job " + command.id.substr(0, kMostText));
  std::vector<json> rows{facts_of(*job, kMostReason)};
  rows.front().erase("reason");
  rows.front()["pids"] = job->pids;
  if (!job->reason.empty()) rows.push_back({{"reason", job->reason.substr(0, kMostText)}});
  if (job->result) {
    rows.push_back({{"result", job->result->substr(0, kMostText)}, {"result_bytes", job->result->size()}});
  }
  const std::string payload = co_await service.payload(command.id);
  rows.push_back({{"payload", payload.substr(0, kMostText)}, {"payload_bytes", payload.size()}});
  for (const json& each : rows) {
    std::string row = dump_json(each);
    co_await answer.row(std::move(row));
  }
}

Task<void> change(JobService& service, const Command& command, const std::string& id, std::size_t& changed) {
  Task<bool> changing = command.action == "retry" ? service.retry(id) : service.drop(id);
  if (co_await std::move(changing)) ++changed;
}

Task<void> change_all(JobService& service, const Command& command, std::size_t& changed) {
  const std::vector<std::string> names = co_await names_of(service, command);
  for (const std::string& name : names) {
    const std::vector<std::string> ids =
        co_await service.ids(name, command.state.value_or(JobState::dead), kMostChanged);
    for (std::size_t begin = 0; begin < ids.size(); begin += kAtOnce) {
      std::vector<Task<void>> changes;
      for (const std::string& id : batch_of(ids, begin)) changes.push_back(change(service, command, id, changed));
      auto changing = when_all(std::move(changes));
      co_await std::move(changing);
    }
  }
}

Task<void> change(JobService& service, const Command& command, const Answer& answer) {
  std::size_t changed = 0;
  if (!command.id.empty()) {
    co_await change(service, command, command.id, changed);
    if (changed == 0) throw std::invalid_argument("no such job can be changed; jobs show ID says in which state it is");
  } else {
    try {
      co_await change_all(service, command, changed);
    } catch (const RedisError& failed) {
      if (changed == 0) throw;
      throw std::runtime_error(
          fmt::format("{}; {} job{} changed before that", failed.what(), changed, changed == 1 ? " was" : "s were"));
    }
  }
  std::string row = dump_json({{"changed", changed}});
  co_await answer.row(std::move(row));
}

Task<void> carry_out(JobService& service, const Command& command, const Answer& answer) {
  if (!command.name.empty() && !is_job_name(command.name)) {
    throw std::invalid_argument("--name: a job's name is 1 to 64 letters, digits, '-' or '_'");
  }
  if (command.action == "stats") return stats(service, command, answer);
  if (command.action == "list") return list(service, command, answer);
  if (command.action == "show") return show(service, command, answer);
  if (command.action == "retry" || command.action == "drop") return change(service, command, answer);
  throw std::invalid_argument("unknown command");
}

}  // namespace

Task<void> carry_out_job_command(JobService* service, ChannelMessage command, SendMessage send) {
  const Answer answer(command.number, std::move(send));
  const Command read_command = read(command.text);
  std::string error;
  try {
    if (service == nullptr) throw std::invalid_argument("this server runs with --redis none");
    co_await carry_out(*service, read_command, answer);
  } catch (const std::exception& failed) {
    error = failed.what();
  }
  co_await answer.end(std::move(error));
}

}  // namespace pronghorn::worker
