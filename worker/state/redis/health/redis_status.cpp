#include "worker/state/redis/health/redis_status.h"

#include <chrono>
#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxAddress = 95;  // that RedisNodeRow::address keeps

std::uint64_t now_s() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

}  // namespace

void RedisStatus::set(RedisState state, std::string_view reason) noexcept {
  row_.redis_error.set(reason);
  if (row_.redis_state.load(std::memory_order_relaxed) == state && row_.redis_since_at.load() != 0) return;
  if (state == RedisState::down) up_since_at_ = 0;
  const std::uint64_t earlier = state == RedisState::up ? std::exchange(up_since_at_, 0) : 0;
  row_.redis_since_at.store(earlier != 0 ? earlier : now_s(), std::memory_order_relaxed);
  row_.redis_state.store(state, std::memory_order_relaxed);
}

void RedisStatus::set_nodes(std::span<const RedisNodeFacts> nodes) {
  std::uint64_t open = 0;
  for (const RedisNodeFacts& node : nodes) open += node.circuit == RedisCircuit::closed ? 0 : 1;
  row_[Count::redis_circuits_open].store(open, std::memory_order_relaxed);
  for (std::size_t i = 0; i < kMaxRedisNodes; ++i) {
    RedisNodeRow& row = row_.redis_nodes[i];
    if (i >= nodes.size()) {
      row.address.set("");
      continue;
    }
    const RedisNodeFacts& node = nodes[i];
    const bool same = row.address.get() == node.address.substr(0, kMaxAddress) && row.state.load() == node.state &&
                      row.circuit.load() == node.circuit && row.is_replica.load() == (node.is_replica ? 1U : 0U);
    if (same) continue;
    row.state.store(node.state);
    row.circuit.store(node.circuit);
    row.is_replica.store(node.is_replica ? 1 : 0);
    row.since_at.store(now_s());
    row.address.set(node.address);
  }
}

}  // namespace pronghorn::worker
