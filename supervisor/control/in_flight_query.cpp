#include "supervisor/control/in_flight_query.h"
#include "common/text/json_text.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;

double age_of(const json& request) { return request.value("age_ms", 0.0); }

// "/users/{id}" of "GET /users/{id}".
std::string route_of(const WorkerRow& row) {
  const std::uint32_t index = row.running.route.load();
  if (index >= kMaxRoutes) return {};
  const std::string name = row.routes[index].route.get();
  return name.substr(name.find(' ') + 1);
}

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
      if (workers_.send(worker->pid, {MessageKind::list_requests, query_, {}})) unanswered_[slot] = *worker;
    }
  }
  patience_.start(unanswered_.empty() ? Milliseconds(0) : kPatience);
}

void InFlightQuery::received(const ChannelMessage& message) {
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

void InFlightQuery::add_blocked(const WorkerEntry& worker) {
  const WorkerRow& row = board_.worker(worker.slot, worker.row);
  if (row.pid.load() != static_cast<std::uint32_t>(worker.pid)) return;
  const std::uint64_t now = monotonic_ms();
  json request{{"slot", worker.slot}, {"state", "running"}, {"route", ""}, {"client", ""}};
  const bool executes = row.running.active.load() != 0;
  if (!executes) {
    request["request"] = "no request";
    request["age_ms"] = stuck_seconds(row, now) * 1000;
  } else {
    request["request"] = line_of(row.running);
    request["route"] = route_of(row);
    request["id"] = id_of(row.running);
    request["age_ms"] = now - std::min<std::uint64_t>(row.running.started_ns.load() / 1'000'000, now);
  }
  const std::uint64_t in_flight = row[Count::in_flight].load();
  request["blocked_ms"] = now - std::min(progress_ms(row, now), now);
  request["waiting"] = in_flight - std::min<std::uint64_t>(in_flight, executes ? 1 : 0);
  request["connections"] = row[Count::connections].load();
  requests_.push_back(std::move(request));
}

void InFlightQuery::finish() {
  patience_.stop();
  for (const auto& [slot, worker] : std::exchange(unanswered_, {})) add_blocked(worker);
  std::sort(requests_.begin(), requests_.end(),
            [](const json& one, const json& other) { return age_of(one) > age_of(other); });
  const std::string answer = dump_json({{"ok", true}, {"requests", std::exchange(requests_, json::array())}});
  for (const ControlSocket::Reply& reply : std::exchange(waiting_, {})) reply(answer);
}

}  // namespace pronghorn::supervisor
