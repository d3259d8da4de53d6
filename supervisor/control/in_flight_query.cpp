#include "supervisor/control/in_flight_query.h"
#include "common/json_text.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;

double age_of(const json& request) { return request.value("age_ms", 0.0); }

}  // namespace

InFlightQuery::InFlightQuery(uv_loop_t* loop, Workers& workers, const Scoreboard& board)
    : workers_(workers), board_(board), patience_(loop, [this] { finish(); }) {}

void InFlightQuery::list(const ControlSocket::Reply& reply) {
  waiting_.push_back(reply);
  if (waiting_.size() > 1) return;
  ++query_;
  requests_ = json::array();
  unanswered_.clear();
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
    if (slot == kDistributorSlot) continue;
    for (const WorkerEntry* worker : {workers_.slots().current(slot), workers_.slots().ready_worker(slot)}) {
      if (worker == nullptr || worker->state == WorkerState::starting || unanswered_.contains(slot)) continue;
      if (workers_.send(worker->pid, {MessageKind::list_requests, query_, {}})) unanswered_.insert(slot);
    }
  }
  patience_.start(unanswered_.empty() ? Milliseconds(0) : kPatience);
}

void InFlightQuery::received(const Message& message) {
  if (message.number != query_ || waiting_.empty()) return;
  if (message.kind == MessageKind::request_listed) {
    json request = try_parse_json(message.text);
    if (request.is_object()) requests_.push_back(std::move(request));
    return;
  }
  std::uint32_t slot = 0;
  std::from_chars(message.text.data(), message.text.data() + message.text.size(), slot);
  unanswered_.erase(slot);
  if (unanswered_.empty()) finish();
}

void InFlightQuery::add_blocked(std::uint32_t slot) {
  const WorkerRow& row = board_.worker(slot, board_.slot(slot).row.load() % kRowsPerSlot);
  json request{{"slot", slot}, {"state", "running"}, {"route", ""}, {"client", ""}};
  if (row.running.active.load() == 0) {
    request["request"] = "no request";
    request["age_ms"] = stuck_seconds(row, monotonic_ms()) * 1000;
  } else {
    const std::string client_id = text_of(row.running.client_id);
    request["request"] = line_of(row.running);
    request["id"] = client_id.empty() ? to_string(row.running.id) : client_id;
    const std::uint64_t started_ms = row.running.started_ns.load() / 1'000'000;
    request["age_ms"] = monotonic_ms() - std::min(started_ms, monotonic_ms());
  }
  requests_.push_back(std::move(request));
}

void InFlightQuery::finish() {
  patience_.stop();
  for (const std::uint32_t slot : std::exchange(unanswered_, {})) add_blocked(slot);
  std::sort(requests_.begin(), requests_.end(),
            [](const json& one, const json& other) { return age_of(one) > age_of(other); });
  const std::string answer = dump_json({{"ok", true}, {"requests", std::exchange(requests_, json::array())}});
  for (const ControlSocket::Reply& reply : std::exchange(waiting_, {})) reply(answer);
}

}  // namespace pronghorn::supervisor
