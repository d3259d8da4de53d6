#include "distributor/distributor.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

#include "common/log.h"
#include "worker/process/descriptors.h"

namespace pronghorn::distributor {
namespace {

// How many clients the process may hold: the limit of descriptors, less those that are open now, a link to each worker
// and its successor, and a reserve, so that accepting never meets the limit.
std::size_t room_for_clients(const Config& config) {
  constexpr std::uint64_t kReserve = 32;
  constexpr std::uint64_t kLeast = 16;
  const std::uint64_t taken = worker::open_descriptors() + 2 * std::uint64_t{config.max_workers} + kReserve;
  const std::uint64_t limit = worker::descriptor_limit();
  return limit > taken + kLeast ? limit - taken : kLeast;
}

template <class Bytes>
std::uint64_t key_of(const Bytes& bytes) noexcept {
  return hash_key({reinterpret_cast<const char*>(&bytes), sizeof bytes});
}

// Of the address alone: the port changes with each connection.
std::uint64_t address_key(const sockaddr_storage& address) noexcept {
  if (address.ss_family == AF_INET) return key_of(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  if (address.ss_family == AF_INET6) return key_of(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
  return 0;  // a Unix socket: clients have no address
}

}  // namespace

Distributor::Distributor(uv_loop_t* loop, const Handover& handover, const Scoreboard& board, WorkerRow& row,
                         Callbacks callbacks)
    : loop_(loop),
      board_(board),
      row_(row),
      callbacks_(std::move(callbacks)),
      most_held_(std::min(kMostHeld, room_for_clients(handover.config))),
      links_(loop, handover.config, board,
             {.returned = [this](Client client) { waiting_.push_back(std::move(client)); },
              .lost = [this](int pid) { callbacks_.unlinked(pid); },
              .changed = [this] { schedule(); }}),
      pauses_(row),
      due_(loop, [this] { advance(); }),
      tick_(loop, [this] { tick(); }),
      delay_(loop, [this] {
        ending_ = true;
        last_ = board_.server().draining.load() != 0;
        schedule();
      }) {
  if (handover.config.balance == Balance::cookie_hash) {
    peeks_.emplace(loop, handover.config.session_cookie, [this](Client client) { pass(std::move(client)); });
  }
  for (const InheritedListener& listener : handover.listeners) add_acceptor(listener.fd, listener.is_https);
  tick_.start(kTick, kTick);
}

void Distributor::add_acceptor(int fd, bool is_https) {
  acceptors_.push_back(std::make_unique<worker::Acceptor>(
      loop_, fd, false, row_, pauses_,
      [this, is_https](int client, const sockaddr_storage& address) { accepted(client, address, is_https); }));
  if (accepting_) acceptors_.back()->start();
}

bool Distributor::listen_to_unix(int fd) noexcept {
  if (fd < 0) {
    if (!std::exchange(told_, true)) log_warning("no descriptor is left for a Unix socket that was restored");
    return false;
  }
  told_ = false;
  try {
    std::vector<int> replaced;
    for (const auto& acceptor : acceptors_) {
      if (worker::is_replaced(acceptor->listener(), fd)) replaced.push_back(acceptor->listener());
    }
    for (const int old : replaced) {
      std::erase_if(acceptors_, [old](const auto& acceptor) { return acceptor->listener() == old; });
      ::close(old);
    }
    add_acceptor(fd, false);
  } catch (const std::exception& error) {
    ::close(fd);
    log_warning("cannot accept connections from a Unix socket that was restored", {{"error", error.what()}});
  }
  return true;
}

std::size_t Distributor::held() const noexcept {
  return waiting_.size() + links_.unconfirmed() + (peeks_ ? peeks_->size() : 0);
}

void Distributor::accepted(int fd, const sockaddr_storage& address, bool is_https) {
  Client client{Fd(fd), address_key(address), is_https};
  if (peeks_ && !is_https) {  // TLS hides the cookie: such a client is placed by its address
    peeks_->add(std::move(client));
  } else {
    pass(std::move(client));
  }
  watch_listeners();
}

// In order: nobody overtakes a client that waits.
void Distributor::pass(Client client) {
  if (waiting_.empty() && links_.pass(client)) return;
  waiting_.push_back(std::move(client));
  due_.start(kPassAgain);
}

void Distributor::advance() {
  while (!waiting_.empty() && links_.pass(waiting_.front())) waiting_.pop_front();
  links_.sweep();
  watch_listeners();
  if (ending_) try_to_finish();
  row_[Count::connections].store(held());
  if (!waiting_.empty()) due_.start(kPassAgain);
}

void Distributor::tick() {
  for (const auto& acceptor : acceptors_) acceptor->retry();
  pauses_.look();
  advance();
}

void Distributor::watch_listeners() {
  const bool done = ending_ && (!last_ || emptied_);
  const bool accepting = !done && waiting_.empty() && held() < most_held_ && links_.any_open();
  if (accepting == accepting_) return;
  accepting_ = accepting;
  for (const auto& acceptor : acceptors_) accepting ? acceptor->start() : acceptor->stop();
}

void Distributor::drain(std::chrono::milliseconds delay) {
  if (std::exchange(draining_, true)) return;
  row_.phase.store(WorkerPhase::draining);
  delay_.start(delay);
}

void Distributor::try_to_finish() {
  if (last_ && !emptied_ && accepting_) {
    for (const auto& acceptor : acceptors_) acceptor->empty_queue();
    emptied_ = accepting_;  // nothing has made us stop
    watch_listeners();
  }
  const bool hopeless = last_ && !links_.any();  // every worker has ended
  const bool passed_on = held() == 0 && (!last_ || emptied_);
  if (finished_ || (!passed_on && !hopeless)) return;
  finished_ = true;
  if (held() > 0) log_warning("connections that no worker has taken are dropped", {{"connections", held()}});
  callbacks_.finished();
}

}  // namespace pronghorn::distributor
