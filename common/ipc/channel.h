// The channel between the supervisor and one worker, and the link between the distributor and one worker:
// SOCK_SEQPACKET pairs, so a message arrives whole or not at all.
//
// MessageKind lists every message of the protocol. EOF means that the other side is gone: a worker drains and exits
// when the supervisor is, the supervisor waits for the worker's exit.
#pragma once

#include <sys/types.h>
#include <uv.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/uv_ptr.h"

namespace pronghorn {

// How long a worker that has drained runs on_stop hooks before it gives them up. Then it exits, or the supervisor kills
// it a moment later.
inline constexpr std::chrono::seconds kStopHooksLimit{5};

// In a `failed` message of the process that checks an application: not the application failed, but a log.
inline constexpr std::uint64_t kLogsFailed = 1;

enum class MessageKind : std::uint32_t {
  // worker to supervisor
  ready = 1,  // the application is loaded, on_start has finished, it accepts
  failed,     // text: why the worker cannot start; it exits with status 3 next. number: kLogsFailed, or 0
  guardian,   // number: the pid of the worker's guardian, which is the supervisor's child. 0: there is none, so that
              // connections end with the worker; text: why
  // Of the quarantine; the texts are those of common/ipc/quarantine_table.h.
  kill_identified = 20,  // text: the request that a `killed` message was about, and in a second line all requests of
                         // its route, if it has one; number: quarantine_time in ms
  quarantined,           // text: an entry of Redis, as a QuarantineNotice; number: remaining time in ms
  quarantine_ended,      // text: the id of an entry that Redis no longer has
  request_listed = 40,   // text: a request in flight or a WebSocket as JSON (worker/control/request_list.h,
                         // worker/control/socket_list.h); number: that of list_requests
  requests_end,          // text: the worker's slot; number: the same
  jobs_answer = 50,      // text: a part of the answer to jobs_command, as JSON; number: that of jobs_command
  jobs_end,              // number: the same; text: why it failed, empty: it did not
  relay_unlinked = 55,   // number: pid of the relay to which it has no link any more
  // distributor to supervisor, beside `ready`
  unlinked = 60,  // number: pid of a worker to which it has no link any more, although nobody asked for that
  // supervisor to worker
  drain = 100,  // number: milliseconds to keep serving first (drain_delay); then close gracefully and exit 0
  stop,         // close everything and exit 0 now, without on_stop hooks
  cover,        // number: a slot whose listeners this worker accepts from, beside its own
                // with a descriptor: one listener of a slot that is younger than this worker, kept until uncover;
                // text: "https" if its clients speak TLS
  uncover,      // number: the slot that has a worker again
  reopen_logs,
  listener,             // a descriptor: a Unix socket that replaces another. Back, without one: it was missed
  killed = 120,         // text: method and path of a request that killed a worker: to be counted
  release_quarantine,   // text: the id of an entry to take out of Redis, or "all"
  list_requests = 130,  // number: of the query; answered with request_listed, for each request, and requests_end
  log_level,            // text: the new level of the log
  link = 140,  // a descriptor: connections come over it as well (distributor/links.h); number: the distributor's pid
  worker_ended =
      150,       // text: its incarnation, the id of the job that it executed ("" if that is not to blame), the name
                 // of its crash report, and why it ended, in lines; number: 1 if it did not end in order
  jobs_command,  // number: of the query; text: list, show, retry, drop or stats, and arguments, with blanks between
  // Of the relay (worker/state/relay/relay.h). text: what became of the one before (kRelay…).
  relay_here = 155,  // this worker is the relay now
  relay_link,        // a descriptor: subscribe to topics over it; number: pid of the relay
  relay_peer,        // a descriptor: a worker subscribes to topics over it
  // supervisor to distributor, beside drain, stop, reopen_logs, listener and log_level
  link_worker = 160,  // a descriptor: pass connections over it; number: the worker's pid; text: its slot and row
  unlink_worker,      // number: pid of a worker that gets no more connections
  worker_gone,        // number: pid of a worker that has ended
  // distributor to worker, over their link
  connection = 180,  // a descriptor: serve this client; number: its ticket; text: "https" if it speaks TLS
  claims,            // a descriptor: the link's LinkClaims; the first message
  // worker to distributor
  accepted = 200,  // number: all connection messages with tickets up to this one have been received. text: those of
                   // them that were not taken, as decimal numbers with blanks between them
};

// What became of the relay that another one replaces.
inline constexpr std::string_view kRelayWorks;                // it drains, and works until it is needed no more
inline constexpr std::string_view kRelayBlocked = "blocked";  // it may go on, or not
inline constexpr std::string_view kRelayGone = "gone";

struct ChannelMessage {
  MessageKind kind{};
  std::uint64_t number = 0;
  std::string text;  // at most kMaxMessageText bytes; the rest is dropped
};

inline constexpr std::size_t kMaxMessageText = 4096;

// One end, on a loop. Runs in: supervisor, worker and distributor.
class Channel {
 public:
  struct Callbacks {
    // `fd` is -1 or a descriptor that the callee now owns.
    std::function<void(const ChannelMessage&, int fd)> on_message;
    std::function<void()> on_closed;  // once; the Channel may be destroyed from within
  };

  // Takes ownership of `fd`. Throws std::runtime_error if the loop cannot watch it.
  Channel(uv_loop_t* loop, int fd, Callbacks callbacks);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  // Closes the descriptor; the other side reads EOF.
  ~Channel();

  // Sends at once, with a copy of `fd` unless it is -1 (the caller keeps its own). False when the other side is gone or
  // its queue is full; the message is then lost. Nothing is queued here.
  bool send(const ChannelMessage& message, int fd = -1) noexcept;

  // Delivers the messages that have arrived, without waiting for the loop.
  void receive_now() { readable(0); }

 private:
  void readable(int status);
  bool receive_one();
  void closed();

  int fd_;
  UvPtr<uv_poll_t> poll_;
  Callbacks callbacks_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false when a callback has destroyed us
};

// A connected pair, both close-on-exec: uv_spawn and messages hand descriptors on. Throws std::system_error.
[[nodiscard]] std::pair<int, int> make_channel_pair();

}  // namespace pronghorn
