// The workers that connections are passed to, and the connections that they have not confirmed yet.
//
// A link is a socket pair whose ends only the distributor and one worker hold. Our copy of a client's descriptor is
// kept until the worker has confirmed it. When the worker has no descriptor left, dies or stands still before it has
// taken the client (LinkClaims), the client goes to another.
//
// Context: distributor, main thread.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/fd.h"
#include "common/ipc/channel.h"
#include "common/ipc/link_claims.h"
#include "common/ipc/scoreboard.h"
#include "distributor/balance_policy.h"

namespace pronghorn::distributor {

// A connection that no worker has confirmed.
struct Client {
  Fd fd;
  std::uint64_t key = 0;  // for the hash balances
  bool is_https = false;  // it speaks TLS
};

class Links {
 public:
  struct Callbacks {
    std::function<void(Client client)> returned;  // its worker has not taken it
    std::function<void(int pid)> lost;            // the link has ended, and nobody asked for that
    std::function<void()> changed;                // something was confirmed, returned or lost: sweep() soon
  };
  // `loop` and `board` must outlive this.
  Links(uv_loop_t* loop, const Config& config, const Scoreboard& board, Callbacks callbacks);
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  // Passes connections to the worker from now on, over our end of the link, which is taken over. `place`: its slot and
  // its row in the scoreboard, with a blank between them. An earlier link to it gets no more. Calls `lost` when the
  // descriptor or the place cannot be used.
  void add(int pid, const std::string& place, int fd);
  // The worker gets no more connections, and those that it has not taken come back. The link ends when it has confirmed
  // the others.
  void close(int pid);
  // The worker has ended: what it has not taken comes back.
  void worker_gone(int pid);

  // Sends the client to the worker that the balance chooses. False, with `client` unchanged, when no worker takes one
  // now: none is linked, all have max_connections connections or no descriptors, or their queues are full.
  [[nodiscard]] bool pass(Client& client);
  // Frees links that have ended. Not within a callback.
  void sweep();

  [[nodiscard]] std::size_t unconfirmed() const noexcept { return unconfirmed_; }
  [[nodiscard]] bool any() const noexcept { return !links_.empty(); }
  [[nodiscard]] bool any_open() const noexcept;

 private:
  static constexpr std::uint64_t kShortMs = 100;  // how long a worker without descriptors is spared

  struct Passed {
    Client client;
    std::uint64_t ticket;
  };
  struct Link {
    int pid;
    std::uint32_t slot;
    std::uint32_t row;
    LinkClaims claims;
    std::unique_ptr<Channel> channel;
    std::deque<Passed> passed;  // in the order of their tickets
    bool open = true;           // gets more
    bool ended = false;
    std::uint64_t short_until_ms = 0;  // it has no descriptors
  };

  [[nodiscard]] bool takes_more(const Link& link, const WorkerRow& row, std::uint64_t now) const noexcept;
  void collect_candidates();
  void send_claims(Link& link);
  void confirmed(Link& link, const ChannelMessage& message);
  void take_back(Link& link);
  void end(Link& link);

  uv_loop_t* loop_;
  const Scoreboard& board_;
  Callbacks callbacks_;
  BalancePolicy policy_;
  std::uint64_t max_connections_;             // of a worker; 0: no limit
  std::vector<std::unique_ptr<Link>> links_;  // by slot
  std::vector<Candidate> candidates_;         // of one pass(), and where they come from
  std::vector<Link*> sources_;
  std::uint64_t next_ticket_ = 1;
  std::size_t unconfirmed_ = 0;
};

}  // namespace pronghorn::distributor
