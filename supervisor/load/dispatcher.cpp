#include "supervisor/load/dispatcher.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <random>

#include "common/log.h"

namespace pronghorn::supervisor {
namespace {

// Of the address alone: the port changes with each connection.
std::uint64_t address_key(const sockaddr_storage& address) noexcept {
  if (address.ss_family == AF_INET) {
    const auto& ip = reinterpret_cast<const sockaddr_in&>(address).sin_addr;
    return hash_key({reinterpret_cast<const char*>(&ip), sizeof ip});
  }
  if (address.ss_family == AF_INET6) {
    const auto& ip = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    return hash_key({reinterpret_cast<const char*>(&ip), sizeof ip});
  }
  return 0;  // a Unix socket: all clients are on this machine
}

}  // namespace

Dispatcher::Dispatcher(uv_loop_t* loop, const Config& config, const Listeners& listeners, Workers& workers,
                       const Scoreboard& board, const Sampler& sampler)
    : loop_(loop),
      balance_(config.balance),
      cookie_(config.session_cookie),
      listeners_(listeners),
      workers_(workers),
      board_(board),
      sampler_(sampler),
      policy_(config.balance, std::random_device{}()),
      sweep_(loop, [this] {
        paused_ = false;
        look_again();
        advance();
      }) {
  for (const auto& listener : listeners_.all()) {
    polls_.push_back(std::make_unique<Poll>(loop, listener.fd, [this, fd = listener.fd] { accept(fd); }));
  }
}

std::vector<Candidate> Dispatcher::candidates() const {
  std::vector<Candidate> ready;
  std::unordered_map<int, std::uint64_t> on_their_way;
  for (const auto& [ticket, passed] : passed_) ++on_their_way[passed.pid];
  for (std::uint32_t slot = 0; slot < workers_.slots().target(); ++slot) {
    const WorkerEntry* worker = workers_.slots().ready_worker(slot);
    if (worker == nullptr) continue;
    const WorkerRow& row = board_.worker(slot, worker->row);
    const auto found = on_their_way.find(worker->pid);
    const std::uint64_t coming = found == on_their_way.end() ? 0 : found->second;
    ready.push_back({worker->pid, slot, row[Count::connections].load() + coming, row[Count::in_flight].load() + coming,
                     sampler_.mean_latency_us(worker->pid)});
  }
  return ready;
}

void Dispatcher::watch_listeners() {
  // Without a worker, clients are better off in the kernel's queue than with us.
  const bool accepting = !paused_ && waiting_.size() < kMostWaiting && workers_.slots().ready_slots() > 0;
  for (const auto& poll : polls_) accepting ? poll->start() : poll->stop();
}

void Dispatcher::accept(int listener) {
  for (int count = 0; count < kAcceptsPerTurn && accept_one(listener); ++count) {
  }
  if (waiting_.size() >= kMostWaiting) watch_listeners();
}

bool Dispatcher::accept_one(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  Fd fd(::accept4(listener, reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno != EAGAIN) {
      log_warning("accepting is paused", {{"error", std::strerror(errno)}});
      paused_ = true;
      sweep_.start(Milliseconds(100));
      watch_listeners();
    }
    return false;
  }
  Client client{std::move(fd), address_key(address)};
  if (balance_ == Balance::cookie_hash) {
    peek(std::move(client));
  } else {
    pass(std::move(client));
  }
  return true;
}

// --- Looking for the session cookie ---------------------------------------------------------------------------------

void Dispatcher::peek(Client client) {
  const auto peeked = peeked_.insert(peeked_.end(), Peeked{std::move(client), monotonic_ms() + kPeekMs, nullptr});
  if (look(*peeked)) {
    pass(std::move(peeked->client));
    peeked_.erase(peeked);
    return;
  }
  try {
    peeked->first_bytes = std::make_unique<Poll>(loop_, peeked->client.fd.get(), [this, peeked] {
      peeked->first_bytes->stop();  // bytes that stay in the socket would wake us again and again
      if (!look(*peeked)) return;   // a part of the head: look_again() comes
      peeked->first_bytes.reset();
      pass(std::move(peeked->client));
      peeked_.erase(peeked);
    });
    peeked->first_bytes->start();
  } catch (const std::exception&) {
    // The sweep looks instead.
  }
  sweep_.start(Milliseconds(10));
}

// True when the client's key is settled: by its cookie, or, when it has none, by its address.
bool Dispatcher::look(Peeked& peeked) {
  std::array<char, kPeekBytes> bytes;
  const ssize_t size = ::recv(peeked.client.fd.get(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (size < 0) return errno != EAGAIN && errno != EINTR;
  const auto length = static_cast<std::size_t>(size);
  const CookieLook found = find_cookie({bytes.data(), length}, cookie_);
  if (!found.value.empty()) peeked.client.key = hash_key(found.value);
  return found.complete || size == 0 || length == bytes.size();
}

void Dispatcher::look_again() {
  const std::uint64_t now = monotonic_ms();
  for (auto each = peeked_.begin(); each != peeked_.end();) {
    if (!look(*each) && now < each->deadline) {
      ++each;
      continue;
    }
    each->first_bytes.reset();
    pass(std::move(each->client));
    each = peeked_.erase(each);
  }
}

// --- Passing on -----------------------------------------------------------------------------------------------------

void Dispatcher::pass(Client client) {
  if (!waiting_.empty() || !send(client)) {
    waiting_.push_back(std::move(client));
    sweep_.start(Milliseconds(10));
  }
}

bool Dispatcher::send(Client& client) {
  std::vector<Candidate> ready = candidates();
  while (!ready.empty()) {
    const std::size_t chosen = policy_.choose(ready, client.key);
    const std::uint64_t ticket = next_ticket_++;
    if (workers_.send(ready[chosen].pid, {MessageKind::connection, ticket, {}}, client.fd.get())) {
      passed_[ticket] = Passed{std::move(client), ready[chosen].pid};
      return true;
    }
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(chosen));  // its channel is full: the next best
  }
  return false;
}

void Dispatcher::accepted(int pid, std::uint64_t ticket) {
  const auto found = passed_.find(ticket);
  if (found != passed_.end() && found->second.pid == pid) passed_.erase(found);
}

void Dispatcher::worker_gone(int pid) {
  for (auto each = passed_.begin(); each != passed_.end();) {
    if (each->second.pid != pid) {
      ++each;
      continue;
    }
    waiting_.push_back(std::move(each->second.client));
    each = passed_.erase(each);
  }
}

void Dispatcher::advance() {
  while (!waiting_.empty() && send(waiting_.front())) waiting_.pop_front();
  if (!waiting_.empty() || !peeked_.empty()) sweep_.start(Milliseconds(10));
  watch_listeners();
}

void Dispatcher::flush() {
  for (Peeked& peeked : peeked_) pass(std::move(peeked.client));
  peeked_.clear();
}

}  // namespace pronghorn::supervisor
