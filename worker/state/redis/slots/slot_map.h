// Which node of a Redis Cluster serves which slots.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/redis_url.h"
#include "pronghorn/redis.h"
#include "worker/state/redis/slots/key_slot.h"

namespace pronghorn::worker {

// A primary, and the replicas that copy it.
struct Shard {
  RedisHost primary;
  std::vector<RedisHost> replicas;
  [[nodiscard]] bool operator==(const Shard&) const = default;
};

struct SlotMap {
  static constexpr std::uint16_t kUnserved = UINT16_MAX;
  static constexpr std::size_t kMaxShards = 1'000;
  static constexpr std::size_t kMaxReplicas = 16;  // per shard; the others are not used

  SlotMap() { shard_of.fill(kUnserved); }
  std::vector<Shard> shards;
  // Host names of nodes that are announced by their addresses (cluster-announce-hostname), by address and port.
  std::map<std::pair<std::string, std::uint16_t>, std::string> names;
  std::array<std::uint16_t, kSlots> shard_of;  // index in `shards`, or kUnserved

  [[nodiscard]] bool operator==(const SlotMap&) const = default;
};

// The reply to CLUSTER SLOTS. `asked` is the node that sent it: some replies name it by an empty host. Returns what is
// wrong with a reply that no cluster sends: its content is not trusted.
[[nodiscard]] std::expected<SlotMap, std::string> parse_slot_map(const Reply& reply, const RedisHost& asked);

// Where an error reply sends a command.
struct Redirect {
  enum class Kind {
    moved,      // the slot has moved there
    ask,        // this command alone goes there, after ASKING
    try_again,  // the keys of the command are on their way, or to a node without a name: later, where the map says then
  };
  Kind kind;
  std::uint16_t slot = 0;
  RedisHost to;  // an empty host: the one that sent it
};
// nullopt for every other error, and for a malformed one.
[[nodiscard]] std::optional<Redirect> parse_redirect(std::string_view error);

}  // namespace pronghorn::worker
