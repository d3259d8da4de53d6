// Signals that a process does not react to.
#pragma once

#include <functional>
#include <initializer_list>

namespace pronghorn {

// Gives these signals handlers that do nothing. Not SIG_IGN, which programs that the process starts would inherit.
// `release` closes the handles of libuv that they have until then; a signal that any thread takes in between is not
// lost to the default action, which would end the process.
void disarm(std::initializer_list<int> signals, const std::function<void()>& release = {});

}  // namespace pronghorn
