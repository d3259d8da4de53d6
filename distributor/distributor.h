// Accepts clients from all listeners and passes each to a worker: what it holds, and when it stops for a while.
//
// While no worker takes clients, or too many are unconfirmed, the others wait in the kernel's accept queues, where they
// survive the end of this process.
//
// Context: distributor, main thread. Nothing that a client sends is consumed.
#pragma once

#include <sys/socket.h>
#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "distributor/cookie_peeks.h"
#include "distributor/links.h"
#include "supervisor/system/uv_handles.h"
#include "worker/net/accept/accept_pauses.h"
#include "worker/net/accept/acceptor.h"

namespace pronghorn::distributor {

class Distributor {
 public:
  struct Callbacks {
    std::function<void(int pid)> unlinked;  // the link to this worker has ended unasked
    std::function<void()> finished;         // after drain(): nothing is left. Called once
  };
  // Accepts as soon as a worker is linked. All references must outlive this. Throws std::runtime_error if a listener
  // cannot be watched.
  Distributor(uv_loop_t* loop, const Handover& handover, const Scoreboard& board, WorkerRow& row, Callbacks callbacks);
  Distributor(const Distributor&) = delete;
  Distributor& operator=(const Distributor&) = delete;

  [[nodiscard]] Links& links() noexcept { return links_; }

  // Accepts from this Unix socket too. Takes the descriptor over. Returns false if it has not arrived (-1), because
  // descriptors have run out.
  [[nodiscard]] bool listen_to_unix(int fd) noexcept;
  // Goes on for `delay`. Then, if the server stops, everything is passed on that waits in the accept queues; if another
  // distributor has them, only what has been accepted. A second call does nothing.
  void drain(std::chrono::milliseconds delay);

 private:
  static constexpr std::size_t kMostHeld = 4'096;
  static constexpr std::chrono::milliseconds kPassAgain{10};  // while a client waits for a worker
  static constexpr std::chrono::milliseconds kTick{250};

  void add_acceptor(int fd, bool is_https);
  void accepted(int fd, const sockaddr_storage& address, bool is_https);
  void pass(Client client);
  void schedule() { due_.start(std::chrono::milliseconds(0)); }
  void advance();
  void tick();
  void watch_listeners();
  void try_to_finish();
  // Clients that no worker has confirmed.
  [[nodiscard]] std::size_t held() const noexcept;

  uv_loop_t* loop_;
  const Scoreboard& board_;
  WorkerRow& row_;
  Callbacks callbacks_;
  std::size_t most_held_;
  Links links_;
  std::optional<CookiePeeks> peeks_;  // with Balance::cookie_hash
  std::deque<Client> waiting_;        // for a worker
  worker::AcceptPauses pauses_;
  std::vector<std::unique_ptr<worker::Acceptor>> acceptors_;
  bool accepting_ = false;
  bool told_ = false;  // that a Unix socket has not arrived
  bool draining_ = false;
  bool ending_ = false;   // the delay of drain() is over
  bool last_ = false;     // the server stops: nobody else has the accept queues
  bool emptied_ = false;  // they have been empty since then
  bool finished_ = false;
  supervisor::Timer due_;
  supervisor::Timer tick_;
  supervisor::Timer delay_;
};

}  // namespace pronghorn::distributor
