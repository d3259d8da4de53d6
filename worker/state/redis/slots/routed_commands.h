// The commands of one RedisCall in a cluster, until they are answered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "worker/state/redis/slots/slot_map.h"

namespace pronghorn::worker {

class RedisNode;

// What goes to one node together and is sent again together: a command, or MULTI … EXEC.
struct RoutedUnit {
  enum class State { collecting, parked, in_flight, done };
  State state = State::collecting;
  std::uint32_t first = 0;  // index of its first reply
  std::uint32_t count = 0;  // of commands
  std::uint32_t received = 0;
  std::uint32_t redirects = 0;
  std::uint32_t attempts = 0;         // redirects, and how often it was to try again
  std::optional<std::uint16_t> slot;  // nullopt: any node
  std::string key;                    // of a transaction: its first key
  std::string bytes;                  // the commands
  RedisNode* node = nullptr;          // where it is in flight
  std::uint64_t sequence = 0;         // of its first command there
  std::uint64_t connection = 0;       // over which the replies came
  std::optional<Redirect> redirect;   // what one of the replies asks for
};

struct RoutedCommands {
  std::vector<RoutedUnit> units;  // in the order of their replies
  bool in_transaction = false;    // the last unit awaits its EXEC
  std::uint64_t started_ns = 0;

  [[nodiscard]] std::size_t unit_of(std::uint32_t index) const noexcept {
    std::size_t low = 0, high = units.size() - 1;
    while (low < high) {
      const std::size_t middle = (low + high + 1) / 2;
      if (units[middle].first <= index) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
};

}  // namespace pronghorn::worker
