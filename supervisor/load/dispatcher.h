// Accepts for the workers: with the balances that pass connections, the supervisor accepts each client and sends its
// descriptor to a worker.
//
// Our copy of a descriptor is kept until the worker has confirmed it: when the worker dies before, or has no descriptor
// left, the client goes to another one. The number of copies is limited, so that descriptors remain for the control
// socket and for new workers; while the limit is reached, clients wait in the accept queue.
//
// Context: supervisor, main thread. The supervisor consumes nothing of what a client sends; for cookie_hash it looks at
// the first bytes (MSG_PEEK).
#pragma once

#include <uv.h>

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/load/dispatch_policy.h"
#include "supervisor/load/sampler.h"
#include "supervisor/system/fd.h"
#include "supervisor/system/uv_handles.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

[[nodiscard]] constexpr bool passes_connections(Balance balance) noexcept {
  return balance != Balance::reuseport && balance != Balance::shared;
}

class Dispatcher {
 public:
  // Accepts as soon as a worker is ready. All references must outlive the Dispatcher.
  Dispatcher(uv_loop_t* loop, const Config& config, const Listeners& listeners, Workers& workers,
             const Scoreboard& board, const Sampler& sampler);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // The worker has received all connections with tickets up to `ticket`, and could not take those in `not_taken`
  // (MessageKind::accepted).
  void accepted(int pid, std::uint64_t ticket, const std::string& not_taken);
  // The worker has ended.
  void worker_gone(int pid);
  // Passes clients that wait for a worker. Call after every event.
  void advance();
  // Passes clients whose first bytes have not come yet.
  void flush();
  // How many clients have not been passed to a worker yet.
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  static constexpr int kAcceptsPerTurn = 64;
  static constexpr std::size_t kMostHeld = 4'096;  // clients without a worker, or on the way to one
  static constexpr std::uint64_t kPeekMs = 100;    // for the first bytes of a client
  static constexpr std::uint64_t kCalmMs = 1'000;  // without a pause: then accepting has resumed
  static constexpr std::size_t kPeekBytes = 8 * 1024;

  struct Client {
    Fd fd;
    std::uint64_t key = 0;
  };
  struct Passed {
    Client client;
    std::uint64_t ticket = 0;
  };
  struct Peeked {
    Client client;
    std::uint64_t deadline = 0;
    std::unique_ptr<Poll> first_bytes;  // destroyed before the descriptor: declared after it
  };

  void accept(int listener);
  bool accept_one(int listener);
  void peek(Client client);
  [[nodiscard]] bool look(Peeked& peeked);
  void look_again();
  void pass(Client client);
  [[nodiscard]] bool send(Client& client);
  [[nodiscard]] std::vector<Candidate> candidates() const;
  [[nodiscard]] std::size_t held() const noexcept;
  void watch_listeners();
  void pause(int error);
  void tell_resumed();

  uv_loop_t* loop_;
  Balance balance_;
  std::string cookie_;
  const Listeners& listeners_;
  Workers& workers_;
  const Scoreboard& board_;
  const Sampler& sampler_;
  DispatchPolicy policy_;
  std::vector<std::unique_ptr<Poll>> polls_;
  std::size_t most_held_;
  std::uint64_t max_connections_;                       // of a worker; 0: no limit
  std::unordered_map<int, std::deque<Passed>> passed_;  // by pid, in the order of tickets
  std::deque<Client> waiting_;
  std::list<Peeked> peeked_;
  std::uint64_t next_ticket_ = 1;
  bool accepting_ = false;
  bool paused_ = false;
  std::uint64_t pause_began_ms_ = 0;  // 0: accepting is not short of descriptors
  std::uint64_t last_pause_ms_ = 0;
  Timer sweep_;  // runs while a client waits or is peeked at, or accepting is paused
};

}  // namespace pronghorn::supervisor
