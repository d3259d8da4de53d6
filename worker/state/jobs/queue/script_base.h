// The beginning that all scripts of job queues share: the names of the keys, and how a job's record is read and written.
#pragma once

#include <string_view>

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// A script that may use what the beginning defines: see the Lua in script_base.cpp.
[[nodiscard]] Script make_job_script(std::string_view body);

}  // namespace pronghorn::worker
