// Signals that a process does not react to.
#pragma once

#include <initializer_list>

namespace pronghorn {

// Gives these signals handlers that do nothing. Not SIG_IGN, which programs that the process starts would inherit.
void disarm(std::initializer_list<int> signals) noexcept;

}  // namespace pronghorn
