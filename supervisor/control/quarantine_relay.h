// Carries the quarantine's messages between the supervisor and the workers.
//
// The supervisor neither knows the application's routes nor talks to Redis. It asks a ready worker to identify a
// request that killed a worker, and to remove released entries from Redis; workers report what Redis holds.
//
// Context: supervisor, main thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "common/ipc/channel.h"
#include "common/ipc/quarantine_table.h"
#include "supervisor/control/kill_retries.h"
#include "supervisor/control/quarantine_list.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class QuarantineRelay {
 public:
  // Both must outlive this.
  QuarantineRelay(Workers& workers, QuarantineTable& table) : workers_(workers), list_(table) {}

  // A worker was killed by this request ("POST /crash") of this client (killing_client()). A ready worker identifies
  // the request; without one, or when it ends before it has answered, the message waits for the next that is ready. A
  // retry (KillRetries) does not count.
  void killed(const std::string& request, std::uint64_t client, std::uint64_t now);
  // A message of the worker `pid`: kill_identified, quarantined or quarantine_ended.
  void received(int pid, const ChannelMessage& message);
  // A worker has become ready: sends what waits.
  void worker_ready() { send_waiting(); }
  // This worker has ended: what it was asked and has not answered goes to another.
  void worker_gone(int pid);
  // Once a second: removes expired entries.
  void tick(std::uint64_t now) { list_.tick(now); }

  // Ends the entry with this id, or "all" of them, here and in Redis. Returns how many there were on this machine. The
  // error is one line: the id is malformed, or not quarantined.
  [[nodiscard]] std::expected<std::size_t, std::string> release(const std::string& id);

 private:
  void send(ChannelMessage message);
  void send_waiting();

  Workers& workers_;
  QuarantineList list_;
  KillRetries retries_;
  std::vector<ChannelMessage> waiting_;  // for a ready worker
  struct Asked {
    int pid;
    ChannelMessage message;
  };
  std::vector<Asked> asked_;  // `killed` messages without an answer; a worker answers in their order
};

}  // namespace pronghorn::supervisor
