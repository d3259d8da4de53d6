#include "supervisor/load/dispatcher.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iterator>
#include <random>
#include <set>
#include <sstream>
#include <system_error>

#include "common/log.h"

namespace pronghorn::supervisor {
namespace {

// How many descriptors of clients the process may hold: the limit, less those that are open now, those that more
// workers need, and a reserve for the control socket and for starting processes.
std::size_t room_for_clients(const Config& config) {
  constexpr std::size_t kReserve = 128;
  constexpr std::size_t kLeast = 16;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kLeast;
  std::error_code error;
  const std::filesystem::directory_iterator open("/proc/self/fd", error);
  const auto used = error ? 0 : static_cast<std::size_t>(std::distance(begin(open), end(open)));
  const std::size_t taken = used + 3 * std::size_t{config.max_workers} + kReserve;
  return limit.rlim_cur > taken + kLeast ? static_cast<std::size_t>(limit.rlim_cur) - taken : kLeast;
}

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
  return 0;  // a Unix socket: clients have no address
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
      most_held_(std::min(kMostHeld, room_for_clients(config))),
      max_connections_(config.http.max_connections),
      sweep_(loop, [this] {
        paused_ = false;
        look_again();
        tell_resumed();
        advance();
      }) {
  for (const auto& listener : listeners_.all()) {
    polls_.push_back(std::make_unique<Poll>(loop, listener.fd, [this, fd = listener.fd] { accept(fd); }));
  }
}

std::vector<Candidate> Dispatcher::candidates() const {
  std::vector<Candidate> ready;
  for (std::uint32_t slot = 0; slot < workers_.slots().target(); ++slot) {
    const WorkerEntry* worker = workers_.slots().ready_worker(slot);
    if (worker == nullptr || workers_.stands_still(worker->pid)) continue;
    const WorkerRow& row = board_.worker(slot, worker->row);
    const auto found = passed_.find(worker->pid);
    const std::uint64_t coming = found == passed_.end() ? 0 : found->second.size();
    // A full worker would only answer 503; other workers may have room, or this one in a moment.
    if (max_connections_ != 0 && row[Count::connections].load() + coming >= max_connections_) continue;
    ready.push_back({worker->pid, slot, row[Count::connections].load() + coming, row[Count::in_flight].load() + coming,
                     sampler_.mean_latency_us(worker->pid)});
  }
  return ready;
}

void Dispatcher::watch_listeners() {
  // Without a worker that takes them, clients are better off in the kernel's queue.
  const bool accepting = !paused_ && waiting_.empty() && held() < most_held_ && workers_.slots().ready_slots() > 0;
  if (accepting == accepting_) return;
  accepting_ = accepting;
  for (const auto& poll : polls_) accepting ? poll->start() : poll->stop();
}

void Dispatcher::accept(int listener) {
  for (int count = 0; count < kAcceptsPerTurn && waiting_.empty() && held() < most_held_; ++count) {
    if (!accept_one(listener)) break;
  }
  watch_listeners();
}

std::size_t Dispatcher::held() const noexcept {
  std::size_t number = waiting_.size() + peeked_.size();
  for (const auto& [pid, passed] : passed_) number += passed.size();
  return number;
}

// One line in the log for a shortage, however often accepting pauses meanwhile, and one when it is over.
void Dispatcher::pause(int error) {
  paused_ = true;
  last_pause_ms_ = monotonic_ms();
  sweep_.start(Milliseconds(100));
  if (pause_began_ms_ != 0) return;
  pause_began_ms_ = last_pause_ms_;
  log_warning("accepting is paused: clients wait in the accept queue", {{"error", std::strerror(error)}});
}

void Dispatcher::tell_resumed() {
  const std::uint64_t now = monotonic_ms();
  if (pause_began_ms_ == 0) return;
  if (now - last_pause_ms_ < kCalmMs) return sweep_.start(Milliseconds(100));
  log_info(fmt::format("accepting again after {:.1f} s", static_cast<double>(last_pause_ms_ - pause_began_ms_) / 1e3));
  pause_began_ms_ = 0;
}

bool Dispatcher::accept_one(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  Fd fd(::accept4(listener, reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno != EAGAIN) pause(errno);
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
      peeked->first_bytes->stop();  // the bytes stay in the socket, so polling on would spin
      if (!look(*peeked)) return;   // part of the head: look_again() follows
      peeked->first_bytes.reset();
      pass(std::move(peeked->client));
      peeked_.erase(peeked);
    });
    peeked->first_bytes->start();
  } catch (const std::exception&) {
    // look_again() does it.
  }
  sweep_.start(Milliseconds(10));
}

// True when the client's key is final: by its cookie, or by its address when it has none.
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
      passed_[ready[chosen].pid].push_back({.client = std::move(client), .ticket = ticket});
      return true;
    }
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(chosen));  // its channel is full
  }
  return false;
}

// Cumulative, so that a lost confirmation is made up for by the next one.
void Dispatcher::accepted(int pid, std::uint64_t ticket, const std::string& not_taken) {
  const auto found = passed_.find(pid);
  if (found == passed_.end()) return;
  std::deque<Passed>& passed = found->second;
  std::istringstream numbers(not_taken);
  std::set<std::uint64_t> refused;
  for (std::uint64_t number = 0; numbers >> number;) refused.insert(number);
  for (; !passed.empty() && passed.front().ticket <= ticket; passed.pop_front()) {
    if (refused.contains(passed.front().ticket)) waiting_.push_back(std::move(passed.front().client));
  }
  if (passed.empty()) passed_.erase(found);
  if (!refused.empty()) sweep_.start(Milliseconds(10));
  watch_listeners();
}

void Dispatcher::worker_gone(int pid) {
  const auto found = passed_.find(pid);
  if (found == passed_.end()) return;
  for (Passed& passed : found->second) waiting_.push_back(std::move(passed.client));
  passed_.erase(found);
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
