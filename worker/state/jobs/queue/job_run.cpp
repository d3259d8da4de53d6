#include "worker/state/jobs/queue/job_run.h"

#include <utility>

#include "common/config/networks.h"
#include "worker/net/socket/peer.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kMethod = "JOB";

// So that the exchange takes the id of the job for its own.
const Peer& this_server() {
  static const Networks nobody{{}};
  static const Peer peer = [] {
    Peer self;
    self.trusted_proxies = &nobody;
    return self;
  }();
  return peer;
}

}  // namespace

JobRun::JobRun(JobQueue& its_queue, std::string its_id, unsigned number, unsigned failed, std::string bytes)
    : queue(&its_queue), id(std::move(its_id)), attempt(number), failures(failed), payload(std::move(bytes)) {
  exchange.head.clear();
  exchange.head.method = kMethod;
  exchange.head.path = id;
  exchange.head.fields[0] = Header{"X-Request-Id", id};
  exchange.head.field_count = 1;
  exchange.head.known[static_cast<std::size_t>(KnownHeader::x_request_id)] = 0;
  exchange.peer = &this_server();
  exchange.started = std::chrono::steady_clock::now();
}

}  // namespace pronghorn::worker
