// Makes programs that the application starts (popen(), posix_spawn(), fork() and exec) inherit nothing from a worker
// but its standard descriptors.
#pragma once

namespace pronghorn::worker {

// Makes every descriptor above 2 close-on-exec: the listeners, the channel, the scoreboard, and whatever the parent of
// the server has left open. Descriptors that are opened later have to be close-on-exec themselves. Runs in: worker and
// check-app, from main(), before any other thread exists.
void keep_descriptors_from_children() noexcept;

// Makes the process ignore the signals that the terminal or an operator sends to the whole process group, and those of
// a write() that fails: SIGPIPE, and SIGXFSZ (a log that has reached the limit of file sizes). They get handlers that do
// nothing, not SIG_IGN, which programs would inherit. Unblocks all signals, because programs inherit the mask too. Runs
// in: as above.
void ignore_group_signals() noexcept;

}  // namespace pronghorn::worker
