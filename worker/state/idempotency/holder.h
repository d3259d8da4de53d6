// Who holds a claim: one process, named so that other processes of the machine can tell whether it still lives.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// "MACHINE:PID:START": the boot of the machine and its namespace of process ids, the process, and when it started, in
// clock ticks since the boot, because ids are used again. Without /proc, a random text that names no process.
[[nodiscard]] std::string name_this_process();

enum class HolderState {
  ended,      // it has ended, or is a zombie: nothing of it runs any more
  alive,      // on this machine
  elsewhere,  // on another machine, or nobody can tell
};

// `self` is name_this_process(). Any text is allowed as `holder`. Reads /proc: for rare cases, not for each request.
[[nodiscard]] HolderState state_of_holder(std::string_view holder, std::string_view self);

}  // namespace pronghorn::worker
