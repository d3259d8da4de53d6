// Which generation serves in which slot.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// By the workers that run, not by those that should: after a rollout that could not be undone they differ.
[[nodiscard]] std::map<std::uint32_t, std::vector<std::uint32_t>> slots_by_generation(const Workers& workers);

// "every worker is of generation 2", or which slots have which, for the end of a message.
[[nodiscard]] std::string describe_generations(const Workers& workers);

}  // namespace pronghorn::supervisor
