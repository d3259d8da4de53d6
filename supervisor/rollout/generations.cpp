#include "supervisor/rollout/generations.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pronghorn::supervisor {

std::map<std::uint32_t, std::vector<std::uint32_t>> slots_by_generation(const Workers& workers) {
  std::map<std::uint32_t, std::vector<std::uint32_t>> slots;
  for (std::uint32_t slot = 0; slot < workers.slots().target(); ++slot) {
    const WorkerEntry* worker = workers.slots().ready_worker(slot);
    slots[worker != nullptr ? worker->generation : workers.launch_of(slot).generation].push_back(slot);
  }
  return slots;
}

std::string describe_generations(const Workers& workers) {
  const auto slots = slots_by_generation(workers);
  if (slots.size() == 1) return fmt::format("every worker is of generation {}", slots.begin()->first);
  std::vector<std::string> parts;
  for (const auto& [generation, numbers] : slots) {
    parts.push_back(fmt::format("generation {} in slot{} {}", generation, numbers.size() == 1 ? "" : "s",
                                fmt::join(numbers, ", ")));
  }
  return fmt::format("there are now {}, until the next reload", fmt::join(parts, " and "));
}

}  // namespace pronghorn::supervisor
