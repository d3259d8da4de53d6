// The commands of one RedisCall in a cluster, until they are answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/state/redis/slots/slot_map.h"

namespace pronghorn::worker {

class RedisNode;

// What goes to one node together and is sent again together: a command, or MULTI … EXEC.
struct RoutedUnit {
  enum class State : std::uint8_t { collecting, parked, in_flight, done };
  State state = State::collecting;
  std::uint32_t first = 0;  // index of its first reply
  std::uint32_t count = 0;  // of commands
  std::uint32_t received = 0;
  std::uint32_t redirects = 0;
  std::uint32_t attempts = 0;          // redirects, and how often it was to try again
  std::optional<std::uint16_t> slot;   // nullopt: any node
  std::size_t begin = 0;               // of its commands in RoutedCommands::bytes
  std::size_t end = 0;                 //
  RedisNode* node = nullptr;           // where it is in flight
  std::uint64_t sequence = 0;          // of its first command there; parked: in the order of parking
  std::uint64_t due_ms = 0;            // parked: when it is sent
  std::uint64_t connection = 0;        // over which the replies came
  std::unique_ptr<Redirect> redirect;  // what one of the replies asks for
};

struct RoutedCommands {
  std::vector<RoutedUnit> units;  // in the order of their replies
  std::string bytes;              // of all units: a redirected one is sent again
  std::string transaction_key;    // of the transaction that is being collected: its first key
  bool in_transaction = false;    // the last unit awaits its EXEC
  std::uint64_t started_ns = 0;

  [[nodiscard]] std::string_view bytes_of(const RoutedUnit& unit) const noexcept {
    return std::string_view(bytes).substr(unit.begin, unit.end - unit.begin);
  }

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

// Keeps them for another call, or frees them.
struct PutAwayRoutedCommands {
  void operator()(RoutedCommands* commands) const noexcept;
};
using RoutedCommandsPtr = std::unique_ptr<RoutedCommands, PutAwayRoutedCommands>;

// Empty ones. Each thread keeps some that have been used, with their memory, so that the commands of most calls need no
// allocation.
[[nodiscard]] RoutedCommandsPtr take_routed_commands();

}  // namespace pronghorn::worker
