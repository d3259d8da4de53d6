// `pronghorn jobs`: has a worker carry the command out, because workers have a connection to Redis.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/ipc/channel.h"
#include "supervisor/control/control_socket.h"
#include "supervisor/system/uv_handles.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// Context: supervisor, main thread. `workers` must outlive this.
class JobQuery {
 public:
  // A worker that has not answered by then has died, is blocked, or has much to do, which it goes on with.
  static constexpr std::chrono::milliseconds kPatience{9'000};

  JobQuery(uv_loop_t* loop, Workers& workers);

  // `command` is for the worker (worker/control/job_commands.h). Replies once: `ok` and `answer`, a list, or an error.
  void run(const std::string& command, const ControlSocket::Reply& reply);
  // Handles the messages `jobs_answer` and `jobs_end`.
  void received(const ChannelMessage& message);

 private:
  struct Query {
    ControlSocket::Reply reply;
    nlohmann::json answer = nlohmann::json::array();
    std::chrono::steady_clock::time_point deadline;
  };

  [[nodiscard]] bool send(const ChannelMessage& message);
  void end(std::uint64_t number, const std::string& error);
  void expire();

  Workers& workers_;
  std::map<std::uint64_t, Query> queries_;  // by number, so the oldest first
  std::uint64_t last_ = 0;
  Timer patience_;
};

}  // namespace pronghorn::supervisor
