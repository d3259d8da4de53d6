// `pronghorn requests`: collects the requests in flight from the workers.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/ipc/channel.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/control/control_socket.h"
#include "supervisor/launch/worker_entry.h"
#include "supervisor/system/uv_handles.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// Asks every ready worker, and waits at most kPatience for the answers: a worker whose loop is blocked cannot answer.
// Of such a worker, the scoreboard knows the request that is running on its loop, and how many wait behind it.
//
// Context: supervisor, main thread. The references must outlive this.
class InFlightQuery {
 public:
  static constexpr Milliseconds kPatience{500};

  InFlightQuery(uv_loop_t* loop, Workers& workers, const Scoreboard& board);

  // Replies once: `ok` and `requests`, the oldest first. The entry of a worker that did not answer also has blocked_ms
  // (since its loop last turned, or went on to another request), waiting (its other requests in flight) and
  // connections. Several clients at once get the same answer.
  void list(const ControlSocket::Reply& reply);
  // Handles the messages `request_listed` and `requests_end`.
  void received(const ChannelMessage& message);

 private:
  void finish();
  void add_blocked(const WorkerEntry& worker);

  Workers& workers_;
  const Scoreboard& board_;
  std::uint64_t query_ = 0;                          // tells late answers to an earlier query
  std::map<std::uint32_t, WorkerEntry> unanswered_;  // by slot
  nlohmann::json requests_ = nlohmann::json::array();
  std::vector<ControlSocket::Reply> waiting_;
  Timer patience_;
};

}  // namespace pronghorn::supervisor
