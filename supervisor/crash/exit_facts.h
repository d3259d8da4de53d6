// Why a worker is gone, from what it left in the scoreboard.
#pragma once

#include <cstdint>
#include <string>

#include "common/ipc/scoreboard.h"

namespace pronghorn::supervisor {

// For log lines: "worker 3", "the admin process".
[[nodiscard]] std::string process_name(std::uint32_t slot);

// "POST /crash id=…": the request whose handler has the worker's loop. Empty when it executes none, and when the row
// belongs to another process.
[[nodiscard]] std::string running_request(const WorkerRow& row, int pid);

// For /status: what ended the slot's last worker. `report`: the name of the report's file, or empty.
void record_exit(SlotRow& slot, const std::string& reason, const std::string& request,
                 const std::string& report) noexcept;

// The worker of the row is dead: its gauges go to zero, its counters stay.
void release_row(WorkerRow& row, int pid) noexcept;

}  // namespace pronghorn::supervisor
