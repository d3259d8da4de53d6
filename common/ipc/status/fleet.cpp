#include "common/ipc/status/fleet.h"

#include <algorithm>
#include <unordered_map>

namespace pronghorn {
namespace {

std::uint64_t value_of(const Counter& counter) noexcept { return counter.load(std::memory_order_relaxed); }

bool has_worker(const SlotRow& slot) noexcept { return slot.pid.load() != 0 || slot.old_pid.load() != 0; }

bool was_used(const Scoreboard& board, std::uint32_t index) noexcept {
  const SlotRow& slot = board.slot(index);
  return index < board.server().slots.load() || has_worker(slot) || slot.started_ms.load() != 0 ||
         slot.generation.load() != 0 || slot.state.load() != SlotState::empty;
}

// Calls `visit(slot number, row number, row)` for every row that a worker has ever taken.
template <class Visit>
void for_each_row(const Scoreboard& board, Visit&& visit) {
  for (std::uint32_t slot = 0; slot < kMaxWorkers; ++slot) {
    if (!was_used(board, slot)) continue;
    for (std::uint32_t index = 0; index < kRowsPerSlot; ++index) {
      const WorkerRow& row = board.worker(slot, index);
      if (row.stamp_ms.load() != 0) visit(slot, index, row);  // its pid is 0 again once its worker has ended
    }
  }
}

void merge(std::uint64_t& into, CounterKind kind, std::uint64_t value) noexcept {
  const bool highest = kind == CounterKind::worst_time || kind == CounterKind::highest;
  into = highest ? std::max(into, value) : into + value;
}

void add_counters(CounterSums& sums, const CounterArray& counters) noexcept {
  for (std::size_t i = 0; i < kCounts; ++i) {
    if (!is_gauge(kCounterFacts[i].kind)) sums.values[i] += value_of(counters.values[i]);
  }
}

void add_gauges(CounterSums& sums, const CounterArray& counters) noexcept {
  for (std::size_t i = 0; i < kCounts; ++i) {
    const CounterKind kind = kCounterFacts[i].kind;
    if (is_gauge(kind)) merge(sums.values[i], kind, value_of(counters.values[i]));
  }
}

void add_sockets(SocketSum& sum, const SocketRow& row, bool live) noexcept {
  if (live) {
    sum.open += value_of(row.open);
    sum.queued += value_of(row.queued);
  }
  sum.messages_in += value_of(row.messages_in);
  sum.messages_out += value_of(row.messages_out);
  sum.bytes_in += value_of(row.bytes_in);
  sum.bytes_out += value_of(row.bytes_out);
  sum.skipped += value_of(row.skipped);
}

// The earlier of two moments, of which 0 is none.
std::uint64_t earlier(std::uint64_t one, std::uint64_t other) noexcept {
  return one == 0 || other == 0 ? std::max(one, other) : std::min(one, other);
}

int usefulness(RedisState state) noexcept {
  switch (state) {
    case RedisState::up:
      return 3;
    case RedisState::connecting:
      return 2;
    case RedisState::down:
      return 1;
    case RedisState::off:
      break;
  }
  return 0;
}

}  // namespace

bool is_live(const SlotRow& slot, const WorkerRow& row) noexcept {
  const std::uint32_t pid = row.pid.load();
  return pid != 0 && (pid == slot.pid.load() || pid == slot.old_pid.load());
}

std::vector<SlotSum> sum_slots(const Scoreboard& board) {
  std::vector<SlotSum> sums;
  for (std::uint32_t index = 0; index < kMaxWorkers; ++index) {
    if (!was_used(board, index)) continue;
    SlotSum& sum = sums.emplace_back();
    sum.slot = index;
    sum.alive = has_worker(board.slot(index));
    sum.listed = sum.alive || index < board.server().slots.load();
    add_counters(sum.counters, board.slot(index).counters);
  }
  auto sum = sums.begin();
  for_each_row(board, [&](std::uint32_t slot, std::uint32_t, const WorkerRow& row) {
    while (sum != sums.end() && sum->slot < slot) ++sum;
    if (sum == sums.end() || sum->slot != slot) return;  // a slot that came into use just now
    add_counters(sum->counters, row.counters);
    sum->latency.add(row.latency);
    if (!is_live(board.slot(slot), row)) return;
    add_gauges(sum->counters, row.counters);
    sum->overloaded_since_at = earlier(sum->overloaded_since_at, row.overloaded_since_at.load());
    if (row.pid.load() == board.slot(slot).pid.load()) sum->redis_state = row.redis_state.load();
  });
  return sums;
}

std::vector<SlotSum> sum_job_slots(const Scoreboard& board) {
  std::vector<SlotSum> sums;
  for (std::uint32_t index = kFirstJobSlot; index < kMaxSlots; ++index) {
    const SlotRow& slot = board.slot(index);
    if (slot.started_ms.load() == 0 && slot.state.load() == SlotState::empty) break;  // nor is a later one used
    SlotSum& sum = sums.emplace_back();
    sum.slot = index;
    sum.alive = has_worker(slot);
    sum.listed = true;
    add_counters(sum.counters, slot.counters);
    for (std::uint32_t number = 0; number < kRowsPerSlot; ++number) {
      const WorkerRow& row = board.worker(index, number);
      if (row.stamp_ms.load() == 0) continue;
      add_counters(sum.counters, row.counters);
      if (!is_live(slot, row)) continue;
      add_gauges(sum.counters, row.counters);
      if (row.pid.load() == slot.pid.load()) sum.redis_state = row.redis_state.load();
    }
  }
  return sums;
}

SlotSum sum_all(const Scoreboard& board, const std::vector<SlotSum>& slots) {
  SlotSum all;
  add_counters(all.counters, board.server().counters);
  const CounterSums distributor = distributor_counters(board);
  for (const Count count : {Count::accept_pauses, Count::log_lines_dropped}) all.counters[count] += distributor[count];
  const auto add_slot = [&all](const SlotSum& slot) {
    for (std::size_t i = 0; i < kCounts; ++i) {
      merge(all.counters.values[i], kCounterFacts[i].kind, slot.counters.values[i]);
    }
  };
  for (const SlotSum& slot : sum_job_slots(board)) add_slot(slot);
  for (const SlotSum& slot : slots) {
    add_slot(slot);
    all.latency.add(slot.latency);
    all.overloaded_since_at = earlier(all.overloaded_since_at, slot.overloaded_since_at);
  }
  return all;
}

bool has_distributor(const Scoreboard& board) noexcept { return board.slot(kDistributorSlot).started_ms.load() != 0; }

CounterSums distributor_counters(const Scoreboard& board) noexcept {
  CounterSums sums;
  if (!has_distributor(board)) return sums;
  for (std::uint32_t row = 0; row < kRowsPerSlot; ++row) {
    for (const Count count : {Count::accept_pauses, Count::log_lines_dropped}) {
      sums[count] += value_of(board.worker(kDistributorSlot, row)[count]);
    }
  }
  sums[Count::restarts] = value_of(board.slot(kDistributorSlot)[Count::restarts]);
  return sums;
}

std::vector<RouteSum> sum_routes(const Scoreboard& board) {
  std::vector<RouteSum> sums;
  std::unordered_map<std::string, std::size_t> positions;
  for_each_row(board, [&](std::uint32_t slot, std::uint32_t, const WorkerRow& row) {
    const bool live = is_live(board.slot(slot), row);
    for (const RouteRow& route : row.routes) {
      std::string name = route.route.get();
      if (name.empty()) break;
      const auto [position, is_new] = positions.try_emplace(name, sums.size());
      if (is_new) sums.emplace_back().route = std::move(name);
      RouteSum& sum = sums[position->second];
      sum.requests += value_of(route.requests);
      sum.errors += value_of(route.errors);
      sum.latency.add(route.latency);
      if (route.sockets.used.load() == 0) continue;
      if (!sum.sockets) sum.sockets.emplace();
      add_sockets(*sum.sockets, route.sockets, live);
    }
  });
  std::sort(sums.begin(), sums.end(), [](const RouteSum& a, const RouteSum& b) {
    return a.requests != b.requests ? a.requests > b.requests : a.route < b.route;
  });
  return sums;
}

FleetRedis fleet_redis(const Scoreboard& board) {
  const WorkerRow* best = nullptr;
  for_each_row(board, [&](std::uint32_t slot, std::uint32_t, const WorkerRow& row) {
    if (!is_live(board.slot(slot), row)) return;
    const RedisState state = row.redis_state.load();
    if (state == RedisState::up && row.phase.load() != WorkerPhase::ready) return;
    if (usefulness(state) > (best == nullptr ? 0 : usefulness(best->redis_state.load()))) best = &row;
  });
  if (best == nullptr) return {};
  return {best->redis_state.load(), best->redis_since_at.load(), best->redis_error.get()};
}

Readiness fleet_readiness(const Scoreboard& board) {
  Readiness readiness;
  bool turning = false;
  const std::uint64_t now = monotonic_ms();
  for (std::uint32_t index = 0; index < kMaxWorkers && !turning; ++index) {
    const SlotRow& slot = board.slot(index);
    if (slot.state.load() != SlotState::ready) continue;
    readiness.started = true;
    turning = stuck_seconds(board.worker(index, slot.row.load() % kRowsPerSlot), now) == 0;
  }
  readiness.stuck = readiness.started && !turning;
  const ServerRow& server = board.server();
  readiness.redis = server.redis_mode.get() == "none" || server.ready_without_redis.load() != 0 ||
                    fleet_redis(board).state == RedisState::up;
  readiness.draining = server.draining.load() != 0;
  return readiness;
}

}  // namespace pronghorn
