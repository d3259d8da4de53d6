// One attempt of this worker to carry out a job.
#pragma once

#include <chrono>
#include <string>

#include "worker/exchange/exchange.h"

namespace pronghorn::detail {
// What the public headers know of worker::JobRun.
class JobRun {
 protected:
  ~JobRun() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

class JobQueue;

// Context:   loop thread.
// Ownership: the coroutine that runs the handler. It outlives the queue if the worker ends before the handler does.
class JobRun final : public pronghorn::detail::JobRun {
 public:
  JobRun(JobQueue& its_queue, std::string its_id, unsigned number, unsigned failed, std::string bytes);
  JobRun(const JobRun&) = delete;
  JobRun& operator=(const JobRun&) = delete;
  ~JobRun() = default;

  JobQueue* queue;  // null: the queue has been closed
  const std::string id;
  const unsigned attempt;
  const unsigned failures;
  const std::string payload;
  std::chrono::steady_clock::time_point reported{};  // the last progress
  // What log lines, crash reports and the supervisor see as the running request: "JOB NAME.DIGITS", with the id of the
  // job as the id of the request. No request of a client has such a path, which begins with '/'.
  Exchange exchange;
  std::string outcome = "back";  // what to tell Redis; "back" until the handler has ended
  std::string text;
  std::chrono::milliseconds delay{0};
};

}  // namespace pronghorn::worker
