// Which words of a command are keys, and the slot that they are in.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace pronghorn::worker {

// Where the keys of a command are: `count` words, each `step` behind the one before, from `first` on.
struct KeyRange {
  std::size_t first = 0;
  std::size_t step = 1;
  std::size_t count = 0;
};

// Words that are missing are no keys: Redis will refuse the command. A command that the table does not know, such as
// one of a module, has its key where most commands have it: behind its name.
//
// Why not what COMMAND says: its reply has several hundred kilobytes, users with limited permissions may not ask, and
// the keys of the commands that exist do not change.
[[nodiscard]] KeyRange command_keys(std::span<const std::string_view> words) noexcept;

struct CommandSlot {
  std::optional<std::uint16_t> slot;  // nullopt: it has no key, so any node can carry it out
  std::string_view key;               // the first
  std::string_view other_key;         // the first in another slot: no node can carry the command out
  bool crosses = false;               // whether there is one
};
[[nodiscard]] CommandSlot command_slot(std::span<const std::string_view> words) noexcept;

}  // namespace pronghorn::worker
