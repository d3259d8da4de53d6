// What the scoreboard says about a worker that has ended.
#pragma once

#include <cstdint>
#include <string>

#include "common/ipc/scoreboard.h"
#include "common/log.h"

namespace pronghorn::supervisor {

// "1 connection", "212 connections".
[[nodiscard]] std::string counted(std::uint64_t number, const char* what);

// "worker 3", "the distributor" or "the admin process", for log lines.
[[nodiscard]] std::string process_name(std::uint32_t slot);

// "3", "distributor", "admin" or "jobs0": the slot in log fields and crash reports.
[[nodiscard]] std::string slot_name(std::uint32_t slot);
[[nodiscard]] LogField slot_field(std::uint32_t slot);

// The request that the worker is executing: "POST /crash id=…". Empty when it executes none, or when the row belongs to
// another process.
[[nodiscard]] std::string running_request(const WorkerRow& row, int pid);

// Writes how the slot's last worker ended, for /status. `report`: the file name of the crash report; empty: none.
void record_exit(SlotRow& slot, const std::string& reason, const std::string& request,
                 const std::string& report) noexcept;

// Sets the gauges of a dead worker to zero. Counters stay.
void release_row(WorkerRow& row, int pid) noexcept;

}  // namespace pronghorn::supervisor
