// What the setup function declares: jobs, and schedules that enqueue them.
#pragma once

#include <string>

#include "pronghorn/jobs.h"
#include "worker/state/jobs/times/cron.h"
#include "worker/state/jobs/times/time_zone.h"

namespace pronghorn::worker {

struct JobEntry {
  std::string name;
  JobHandler::Function run;
  JobOptions options;
};

struct ScheduleEntry {
  std::string job;
  std::string text;  // the expression and the time zone: the schedule's name in Redis
  Cron cron;
  TimeZone zone;
};

// Throw std::invalid_argument for an invalid name, an empty function, and options that are out of range.
void check(const JobEntry& job);
void check_enqueue(std::string_view name, std::string_view payload, const EnqueueOptions& options);

}  // namespace pronghorn::worker
