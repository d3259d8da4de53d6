// What the worker does for `pronghorn jobs`.
#pragma once

#include <functional>
#include <string>

#include "common/ipc/channel.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

class JobService;

// False: there is no room at the moment.
using SendMessage = std::function<bool(const ChannelMessage&)>;

// `command` is a JSON object: `do` (stats, list, show, retry, drop); `id`, or for list, retry and drop `state` and `name`
// (empty: of all names); `count`, the most to list of each name. Sends one jobs_answer for each row of the answer, and
// jobs_end. `service` null: there is no Redis. `service` must outlive the task. Does not throw.
[[nodiscard]] Task<void> carry_out_job_command(JobService* service, ChannelMessage command, SendMessage send);

}  // namespace pronghorn::worker
