// Accepting for the workers: with the balances that pass connections, the supervisor takes each client and sends its
// descriptor to a worker.
//
// Context: supervisor, main thread. The supervisor reads nothing from a client; for cookie_hash it looks at the first
// bytes without taking them (MSG_PEEK).
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
  // Accepts as soon as a worker is ready. Everything passed outlives the Dispatcher.
  Dispatcher(uv_loop_t* loop, const Config& config, const Listeners& listeners, Workers& workers,
             const Scoreboard& board, const Sampler& sampler);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Workers reports here. Our copy of a descriptor is kept until its worker has it; when that worker dies before, the
  // client goes to another.
  void accepted(int pid, std::uint64_t ticket);
  void worker_gone(int pid);
  // After every event: clients that wait for a worker.
  void advance();
  // Whoever is still being looked at goes to a worker now.
  void flush();
  // Clients that no worker has taken yet.
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  static constexpr int kAcceptsPerTurn = 64;
  static constexpr std::size_t kMostWaiting = 1'024;  // clients without a worker; more stay in the accept queue
  static constexpr std::uint64_t kPeekMs = 100;       // for the first bytes of a client
  static constexpr std::size_t kPeekBytes = 8 * 1024;

  struct Client {
    Fd fd;
    std::uint64_t key = 0;
  };
  struct Passed {
    Client client;
    int pid = 0;
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
  void watch_listeners();

  uv_loop_t* loop_;
  Balance balance_;
  std::string cookie_;
  const Listeners& listeners_;
  Workers& workers_;
  const Scoreboard& board_;
  const Sampler& sampler_;
  DispatchPolicy policy_;
  std::vector<std::unique_ptr<Poll>> polls_;
  std::unordered_map<std::uint64_t, Passed> passed_;  // by ticket
  std::deque<Client> waiting_;
  std::list<Peeked> peeked_;
  std::uint64_t next_ticket_ = 1;
  bool paused_ = false;
  Timer sweep_;  // runs while somebody waits or is looked at, or accepting is paused
};

}  // namespace pronghorn::supervisor
