#include "common/ipc/status.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "common/ipc/quarantine_table.h"
#include "common/log_format.h"
#include "common/version.h"

namespace pronghorn {
namespace {

using nlohmann::json;

double milliseconds(std::uint64_t microseconds) noexcept { return static_cast<double>(microseconds) / 1000.0; }

double share(const Counter& counter, double parts) noexcept {
  return static_cast<double>(counter.load(std::memory_order_relaxed)) / parts;
}

double seconds_since(std::uint64_t started_ms) noexcept {
  const std::uint64_t now = monotonic_ms();
  return started_ms == 0 || started_ms > now ? 0.0 : static_cast<double>(now - started_ms) / 1000.0;
}

template <class Sum>
json latency_json(const Sum& latency) {
  return {{"p50", milliseconds(latency.percentile(0.50))},
          {"p90", milliseconds(latency.percentile(0.90))},
          {"p99", milliseconds(latency.percentile(0.99))},
          {"max", milliseconds(latency.max)}};
}

json lines(const std::string& text) {
  json list = json::array();
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) list.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return list;
}

// Those that workers run now.
json generations_json(const Scoreboard& board) {
  std::set<std::uint32_t> running;
  for (std::uint32_t slot = 0; slot < std::min(board.server().slots.load(), kMaxSlots); ++slot) {
    if (board.slot(slot).pid.load() != 0) running.insert(board.slot(slot).generation.load());
  }
  return running;
}

json server_json(const Scoreboard& board) {
  const ServerRow& server = board.server();
  return {{"name", kServerName},
          {"version", kVersion},
          {"pid", server.pid.load()},
          {"uptime_s", seconds_since(server.started_ms.load())},
          {"generation", server.generation.load()},
          {"generations", generations_json(board)},
          {"listen", lines(server.listen.get())},
          {"slots", server.slots.load()},
          {"draining", server.draining.load() != 0}};
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
  counters["latency_ms"] = latency_json(sum.latency);
  return counters;
}

json running_json(const RunningRequest& running) {
  if (running.active.load() == 0) return nullptr;
  const std::string line = line_of(running);
  const std::size_t blank = std::min(line.find(' '), line.size());
  return {{"method", line.substr(0, blank)},
          {"path", line.substr(std::min(blank + 1, line.size()))},
          {"id", to_string(running.id)},
          {"for_ms", std::llround(seconds_since(running.started_ns.load() / 1'000'000) * 1000)}};
}

// The processes of a slot that live now: one, and during a rollout two.
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
  worker["backoff"] = backoff_json(slot);
  worker["last_exit"] = last_exit_json(slot);
  worker["rows"] = rows_json(board, sum.slot);
  return worker;
}

json totals_json(const Scoreboard& board, const std::vector<SlotSum>& sums) {
  std::uint64_t requests_per_s_x100 = 0;
  for (const SlotSum& sum : sums) {
    const SlotRow& slot = board.slot(sum.slot);
    if (slot.pid.load() != 0) requests_per_s_x100 += slot.requests_per_s_x100.load();
  }
  json totals = counters_json(sum_all(sums));
  totals["requests_per_s"] = static_cast<double>(requests_per_s_x100) / 100.0;
  return totals;
}

json quarantine_json(const Scoreboard& board) {
  const auto now_at = static_cast<long long>(std::time(nullptr));
  json entries = json::array();
  for (const QuarantineEntry& entry : quarantine_entries(board.quarantine(), monotonic_ms())) {
    entries.push_back({{"id", entry.request.id},
                       {"method", entry.request.method},
                       {"route", entry.request.route},
                       {"shape", entry.request.shape},
                       {"since", rfc3339(static_cast<long long>(entry.since_at))},
                       {"until", rfc3339(now_at + static_cast<long long>((entry.left_ms + 999) / 1000))},
                       {"kills", entry.kills},
                       {"refused", entry.refused},
                       {"shared", entry.shared}});
  }
  return entries;
}

}  // namespace

const char* to_string(SlotState state) noexcept {
  switch (state) {
    case SlotState::empty:
      return "empty";
    case SlotState::starting:
      return "starting";
    case SlotState::ready:
      return "ready";
    case SlotState::draining:
      return "draining";
    case SlotState::backoff:
      return "backoff";
    case SlotState::stopped:
      return "stopped";
  }
  return "unknown";
}

const char* to_string(WorkerPhase phase) noexcept {
  switch (phase) {
    case WorkerPhase::none:
      return "none";
    case WorkerPhase::booting:
      return "booting";
    case WorkerPhase::ready:
      return "ready";
    case WorkerPhase::draining:
      return "draining";
  }
  return "unknown";
}

const char* to_string(RedisState state) noexcept {
  switch (state) {
    case RedisState::off:
      return "off";
    case RedisState::connecting:
      return "connecting";
    case RedisState::up:
      return "up";
    case RedisState::down:
      return "down";
  }
  return "unknown";
}

json status_json(const Scoreboard& board) {
  const std::vector<SlotSum> sums = sum_slots(board);
  json workers = json::array();
  for (const SlotSum& sum : sums) {
    if (sum.listed) workers.push_back(worker_json(board, sum));
  }
  json routes = json::array();
  for (const RouteSum& route : sum_routes(board)) {
    routes.push_back({{"route", route.route},
                      {"requests", route.requests},
                      {"errors", route.errors},
                      {"latency_ms", latency_json(route.latency)}});
  }
  return {{"server", server_json(board)},
          {"totals", totals_json(board, sums)},
          {"workers", std::move(workers)},
          {"routes", std::move(routes)},
          {"quarantine", quarantine_json(board)},
          {"redis", {{"mode", board.server().redis_mode.get()}, {"state", to_string(fleet_redis_state(board))}}}};
}

std::string status_json_text(const Scoreboard& board) {
  return status_json(board).dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace pronghorn
