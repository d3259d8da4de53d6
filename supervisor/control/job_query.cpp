#include "supervisor/control/job_query.h"

#include <algorithm>
#include <utility>

#include "common/text/json_text.h"

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

std::string refusal(const std::string& error) { return dump_json({{"ok", false}, {"error", error}}); }

}  // namespace

JobQuery::JobQuery(uv_loop_t* loop, Workers& workers) : workers_(workers), patience_(loop, [this] { expire(); }) {}

void JobQuery::run(const std::string& command, const ControlSocket::Reply& reply) {
  if (command.size() > kMaxMessageText) return reply(refusal("jobs: the command is too long"));
  if (!send({MessageKind::jobs_command, ++last_, command})) {
    return reply(refusal("jobs: no worker is ready to carry that out"));
  }
  queries_.emplace(last_, Query{.reply = reply, .deadline = Clock::now() + kPatience});
  if (queries_.size() == 1) patience_.start(kPatience);
}

bool JobQuery::send(const ChannelMessage& message) {
  return std::ranges::any_of(workers_.slots().workers(), [&](const WorkerEntry& worker) {
    const bool has_application = is_worker_slot(worker.slot) || is_job_slot(worker.slot);
    return has_application && worker.state == WorkerState::ready && !workers_.stands_still(worker.pid) &&
           workers_.send(worker.pid, message);
  });
}

void JobQuery::received(const ChannelMessage& message) {
  const auto query = queries_.find(message.number);
  if (query == queries_.end()) return;  // it has expired
  if (message.kind == MessageKind::jobs_end) return end(message.number, message.text);
  json part = try_parse_json(message.text);
  if (part.is_object()) query->second.answer.push_back(std::move(part));
}

void JobQuery::end(std::uint64_t number, const std::string& error) {
  const auto query = queries_.extract(number);
  if (queries_.empty()) patience_.stop();
  if (!error.empty()) return query.mapped().reply(refusal("jobs: " + error));
  query.mapped().reply(dump_json({{"ok", true}, {"answer", std::move(query.mapped().answer)}}));
}

void JobQuery::expire() {
  while (!queries_.empty() && queries_.begin()->second.deadline <= Clock::now()) {
    end(queries_.begin()->first, "the worker has not answered in time; what it was told may still be done");
  }
  if (queries_.empty()) return;
  const auto left = queries_.begin()->second.deadline - Clock::now();
  patience_.start(std::max(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(1)));
}

}  // namespace pronghorn::supervisor
