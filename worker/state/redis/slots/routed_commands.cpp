#include "worker/state/redis/slots/routed_commands.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMostKept = 256;
constexpr std::size_t kLargestKept = 4 * 1024;  // bytes of commands
constexpr std::size_t kMostUnits = 8;

thread_local constinit bool thread_ended = false;

struct Kept {
  Kept() { commands.reserve(kMostKept); }
  ~Kept() { thread_ended = true; }
  std::vector<std::unique_ptr<RoutedCommands>> commands;
};
thread_local Kept kept;

}  // namespace

RoutedCommandsPtr take_routed_commands() {
  if (thread_ended || kept.commands.empty()) return RoutedCommandsPtr(new RoutedCommands);
  RoutedCommandsPtr taken(kept.commands.back().release());
  kept.commands.pop_back();
  return taken;
}

void PutAwayRoutedCommands::operator()(RoutedCommands* commands) const noexcept {
  std::unique_ptr<RoutedCommands> owned(commands);
  if (thread_ended || kept.commands.size() >= kMostKept) return;
  if (commands->bytes.capacity() > kLargestKept || commands->units.capacity() > kMostUnits) return;
  commands->units.clear();
  commands->bytes.clear();
  commands->in_transaction = false;
  kept.commands.push_back(std::move(owned));
}

}  // namespace pronghorn::worker
