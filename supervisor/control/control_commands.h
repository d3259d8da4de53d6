// The commands of the control socket: `pronghorn status`, `scale`, `reload`, `rollback`, `quarantine`, `upgrade`,
// `stop`, `log-level`, `requests`, `jobs`.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/control/control_socket.h"
#include "supervisor/control/quarantine_relay.h"
#include "supervisor/rollout/rollouts.h"

namespace pronghorn::supervisor {

class ControlCommands {
 public:
  // What the supervisor does itself.
  struct Actions {
    // `relative`: `workers` is a step. Returns the new number, or one line that says why it is unchanged.
    std::function<std::expected<std::uint32_t, std::string>(std::int64_t workers, bool relative)> scale;
    std::function<void(Rollouts::Waiter waiter, std::optional<Milliseconds> canary)> reload;
    std::function<void(Rollouts::Waiter waiter)> rollback;
    // Both call the waiter once, now or later; `error` is empty or one line.
    std::function<void(std::function<void(const std::string& error)> waiter)> upgrade;
    std::function<void(std::function<void(const std::string& error)> waiter)> upgrade_result;
    std::function<void()> stop;
    // Changes the level of every process' log until the next reload. Returns one line that says why not, or nothing.
    std::function<std::string(const std::string& level)> set_log_level;
    std::function<void(const ControlSocket::Reply& reply)> list_requests;
    std::function<void(const std::string& command, const ControlSocket::Reply& reply)> jobs;
  };

  // The references must outlive this.
  ControlCommands(const Scoreboard& board, const Rollouts& rollouts, QuarantineRelay& quarantine, Actions actions);

  // Carries out one request, a JSON object with a string `command`, an optional `argument` and `wait`. Replies exactly
  // once, now or later, with a JSON object: `ok`, and `error` or what the command returns.
  void run(const std::string& line, const ControlSocket::Reply& reply);

 private:
  struct Request {
    std::string argument;  // empty: none
    bool wait = false;     // reply when the rollout has ended, not when it has begun
  };
  struct Command {
    const char* name;
    void (ControlCommands::*run)(const Request& request, const ControlSocket::Reply& reply);
  };
  static const Command kCommands[];

  void status(const Request& request, const ControlSocket::Reply& reply);
  void scale(const Request& request, const ControlSocket::Reply& reply);
  void reload(const Request& request, const ControlSocket::Reply& reply);
  void rollback(const Request& request, const ControlSocket::Reply& reply);
  void quarantine(const Request& request, const ControlSocket::Reply& reply);
  void upgrade(const Request& request, const ControlSocket::Reply& reply);
  void upgrade_result(const Request& request, const ControlSocket::Reply& reply);
  void stop(const Request& request, const ControlSocket::Reply& reply);
  void log_level(const Request& request, const ControlSocket::Reply& reply);
  void requests(const Request& request, const ControlSocket::Reply& reply);
  void jobs(const Request& request, const ControlSocket::Reply& reply);
  [[nodiscard]] Rollouts::Waiter waiter_for(const Request& request, const char* begun,
                                            const ControlSocket::Reply& reply) const;

  const Scoreboard& board_;
  const Rollouts& rollouts_;
  QuarantineRelay& quarantine_;
  Actions actions_;
};

}  // namespace pronghorn::supervisor
