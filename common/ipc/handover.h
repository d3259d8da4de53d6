// What a worker inherits from the supervisor: descriptors at fixed numbers, and this record.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/config.h"

namespace pronghorn {

// Descriptor numbers in every worker, assigned by uv_spawn. 0, 1 and 2 are the supervisor's.
inline constexpr int kChannelFd = 3;
inline constexpr int kScoreboardFd = 4;
inline constexpr int kHandoverFd = 5;     // a memfd with the record as JSON
inline constexpr int kHandoffGiveFd = 6;  // the handoff queue: worker/guardian/handoff/handoff.h
inline constexpr int kHandoffTakeFd = 7;
inline constexpr int kFirstListenerFd = 8;

struct InheritedListener {
  std::string address;  // as configured, for messages
  std::uint32_t slot = 0;
  int fd = -1;  // number in the worker
  bool is_unix = false;
  bool is_https = false;  // clients speak TLS
};

struct Handover {
  Config config;
  std::uint32_t slot = 0;
  std::uint32_t row = 0;  // of the slot's rows in the scoreboard
  std::uint32_t generation = 1;
  int supervisor_pid = 0;                    // to notice at start that it has died
  bool admin = false;                        // the admin process: no application, only the server's endpoints
  std::vector<InheritedListener> listeners;  // of every slot
  int tls_credentials_fd = -1;               // number in the worker, for read_tls_credentials(); -1: no TLS
  int ticket_keys_fd = -1;                   // for TicketKeys::attach(); -1: no TLS
};

// Supervisor: returns a memfd with the record, at position 0, close-on-exec, which the caller closes. Throws
// std::system_error.
[[nodiscard]] int write_handover(const Handover& handover);
// Worker: reads and closes kHandoverFd. Throws std::runtime_error.
[[nodiscard]] Handover read_handover(int fd = kHandoverFd);

}  // namespace pronghorn
