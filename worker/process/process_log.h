// The log of a process that the supervisor starts.
#pragma once

#include <string>

#include "common/config/config.h"

namespace pronghorn::worker {

// Opens the log of the options. A file that cannot be opened any more, such as in a folder that was deleted, must not
// keep a worker that replaces another one from serving: its lines then go to standard error. (The start of the server,
// and each reload, refuse such a file.)
void open_process_log(const Config& config, const std::string& process);

}  // namespace pronghorn::worker
