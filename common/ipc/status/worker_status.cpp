// The entries of `workers` in /status.
#include <algorithm>
#include <cmath>
#include <ctime>

#include "common/ipc/status/status_parts.h"
#include "common/log_format.h"

namespace pronghorn {
namespace {

using nlohmann::json;

double share(const Counter& counter, double parts) noexcept {
  return static_cast<double>(counter.load(std::memory_order_relaxed)) / parts;
}

std::string since(double seconds_ago) {
  return rfc3339(static_cast<long long>(std::time(nullptr)) - std::llround(seconds_ago));
}

// The request whose code is running on the loop. A request that waits for a timer or for Redis is not running.
json running_json(const RunningRequest& running) {
  if (running.active.load() == 0) return nullptr;
  const std::string line = line_of(running);
  const std::size_t blank = std::min(line.find(' '), line.size());
  return {{"method", line.substr(0, blank)},
          {"path", line.substr(std::min(blank + 1, line.size()))},
          {"id", id_of(running)},
          {"since", since(seconds_since(running.started_ns.load() / 1'000'000))},
          {"for_ms", std::llround(seconds_since(running.started_ns.load() / 1'000'000) * 1000)}};
}

// What is running on the loop: a request, or, if the loop is stuck, code that belongs to none (a timer, a background
// task, a process that was stopped).
json holder_json(const WorkerRow& row, double stuck_s) {
  json holder = running_json(row.running);
  if (holder.is_null() && stuck_s == 0) return nullptr;
  if (holder.is_null()) {
    return {{"what", "no request"}, {"since", since(stuck_s)}, {"for_ms", std::llround(stuck_s * 1000)}};
  }
  holder["what"] = line_of(row.running);
  return holder;
}

// The living processes of a slot: one, or two during a rollout.
json rows_json(const Scoreboard& board, std::uint32_t slot) {
  json rows = json::array();
  for (std::uint32_t index = 0; index < kRowsPerSlot; ++index) {
    const WorkerRow& row = board.worker(slot, index);
    if (!is_live(board.slot(slot), row)) continue;
    rows.push_back({{"row", index},
                    {"pid", row.pid.load()},
                    {"phase", to_string(row.phase.load())},
                    {"last_turn_ms", std::llround(seconds_since(row.stamp_ms.load()) * 1000)},
                    {"connections", row[Count::connections].load()},
                    {"in_flight", row[Count::in_flight].load()},
                    {"running", running_json(row.running)}});
  }
  return rows;
}

json last_exit_json(const SlotRow& slot) {
  const std::uint64_t at = slot.last_exit_at.load();
  if (at == 0) return nullptr;
  return {{"reason", slot.last_exit_reason.get()},
          {"request", slot.last_exit_request.get()},
          {"report", slot.last_exit_report.get()},
          {"connections", slot.last_exit_connections.get()},
          {"at", rfc3339(static_cast<long long>(at))}};
}

json backoff_json(const SlotRow& slot) {
  const std::uint32_t exits = slot.backoff_exits.load();
  if (exits == 0) return nullptr;
  const std::uint64_t now = monotonic_ms();
  const std::uint64_t until = slot.backoff_until_ms.load();
  return {{"exits", exits},
          {"within_s", seconds_since(slot.backoff_began_ms.load())},
          {"restart_in_ms", until > now ? until - now : 0}};
}

}  // namespace

double seconds_since(std::uint64_t started_ms) noexcept {
  const std::uint64_t now = monotonic_ms();
  return started_ms == 0 || started_ms > now ? 0.0 : static_cast<double>(now - started_ms) / 1000.0;
}

// Every counter at its path, and the latency: what each slot and the whole have in common.
json counters_json(const SlotSum& sum) {
  json counters = json::object();
  for (std::size_t i = 0; i < kCounts; ++i) {
    const CounterFacts& facts = kCounterFacts[i];
    json& value = counters[json::json_pointer("/" + std::string(facts.path))];
    if (is_time(facts.kind)) {
      value = milliseconds(sum.counters.values[i]);
    } else {
      value = sum.counters.values[i];
    }
  }
  const std::uint64_t since = sum.overloaded_since_at;
  counters["overload"]["since"] = since == 0 ? json(nullptr) : json(rfc3339(static_cast<long long>(since)));
  counters["latency_ms"] = latency_json(sum.latency);
  return counters;
}

json distributor_json(const Scoreboard& board) {
  if (!has_distributor(board)) return nullptr;
  const SlotRow& slot = board.slot(kDistributorSlot);
  const std::uint32_t pid = slot.pid.load();
  const CounterSums counters = distributor_counters(board);
  std::uint64_t waiting = 0;
  for (std::uint32_t row = 0; row < kRowsPerSlot; ++row) {
    waiting += board.worker(kDistributorSlot, row)[Count::connections].load();
  }
  return {{"pid", pid},
          {"state", to_string(slot.state.load())},
          {"uptime_s", pid == 0 ? 0.0 : seconds_since(slot.started_ms.load())},
          {"waiting", waiting},
          {"accept_pauses", counters[Count::accept_pauses]},
          {"restarts", counters[Count::restarts]},
          {"last_exit", last_exit_json(slot)}};
}

json redis_nodes_json(const WorkerRow& row) {
  json nodes = json::array();
  for (const RedisNodeRow& node : row.redis_nodes) {
    const std::string address = node.address.get();
    if (address.empty()) break;
    nodes.push_back({{"address", address},
                     {"replica", node.is_replica.load() != 0},
                     {"state", to_string(node.state.load())},
                     {"circuit", to_string(node.circuit.load())},
                     {"since", rfc3339(static_cast<long long>(node.since_at.load()))}});
  }
  return nodes;
}

json worker_json(const Scoreboard& board, const SlotSum& sum) {
  const SlotRow& slot = board.slot(sum.slot);
  const bool running = slot.pid.load() != 0;
  json worker = counters_json(sum);
  worker["slot"] = sum.slot;
  worker["pid"] = slot.pid.load();
  worker["old_pid"] = slot.old_pid.load();
  worker["state"] = to_string(slot.state.load());
  worker["generation"] = slot.generation.load();
  worker["uptime_s"] = running ? seconds_since(slot.started_ms.load()) : 0.0;
  worker["requests_per_s"] = running ? share(slot.requests_per_s_x100, 100) : 0.0;
  worker["rss_bytes"] = running ? slot.rss_bytes.load() : 0;
  worker["cpu_percent"] = running ? share(slot.cpu_percent_x100, 100) : 0.0;
  worker["loop_utilisation"] = running ? share(slot.loop_utilisation_x10000, 10'000) : 0.0;
  worker["redis"]["state"] = to_string(sum.redis_state);
  const WorkerRow& row = board.worker(sum.slot, slot.row.load() % kRowsPerSlot);
  worker["redis"]["nodes"] = running && is_live(slot, row) ? redis_nodes_json(row) : json::array();
  const double stuck_s = running && is_live(slot, row) ? stuck_seconds(row, monotonic_ms()) : 0;
  worker["stuck_s"] = stuck_s;
  worker["running"] = running && is_live(slot, row) ? holder_json(row, stuck_s) : json(nullptr);
  worker["backoff"] = backoff_json(slot);
  worker["last_exit"] = last_exit_json(slot);
  worker["rows"] = rows_json(board, sum.slot);
  return worker;
}

}  // namespace pronghorn
