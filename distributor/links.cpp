#include "distributor/links.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <random>
#include <set>
#include <sstream>
#include <utility>

#include "common/log.h"

namespace pronghorn::distributor {

Links::Links(uv_loop_t* loop, const Config& config, const Scoreboard& board, Callbacks callbacks)
    : loop_(loop),
      board_(board),
      callbacks_(std::move(callbacks)),
      policy_(config.balance, std::random_device{}()),
      max_connections_(config.http.max_connections) {}

void Links::add(int pid, const std::string& place, int fd) {
  Fd ours(fd);
  std::uint32_t slot = kMaxSlots;
  std::uint32_t row = kRowsPerSlot;
  std::istringstream(place) >> slot >> row;
  auto claims = LinkClaims::create();
  if (!ours || !claims || !is_worker_slot(slot) || row >= kRowsPerSlot) return callbacks_.lost(pid);
  close(pid);
  auto link = std::make_unique<Link>(
      Link{.pid = pid, .slot = slot, .row = row, .claims = std::move(*claims), .channel = {}, .passed = {}});
  Link& self = *link;  // outlives its channel
  const auto received = [this, &self](const ChannelMessage& message, int unwanted) {
    if (unwanted >= 0) ::close(unwanted);
    if (message.kind == MessageKind::accepted) confirmed(self, message);
  };
  const auto closed = [this, &self] {
    const bool unasked = self.open;
    end(self);
    if (unasked) callbacks_.lost(self.pid);
  };
  try {
    link->channel = std::make_unique<Channel>(loop_, ours.release(), Channel::Callbacks{received, closed});
  } catch (const std::exception& error) {
    log_warning("cannot pass connections to a worker", {{"pid", pid}, {"error", error.what()}});
    return callbacks_.lost(pid);
  }
  send_claims(self);
  const auto behind = std::ranges::upper_bound(links_, slot, {}, [](const auto& each) { return each->slot; });
  links_.insert(behind, std::move(link));
  callbacks_.changed();
}

// What does not fit into the queue is sent again when the worker refuses a connection.
void Links::send_claims(Link& link) {
  static_cast<void>(link.channel->send({MessageKind::claims, 0, {}}, link.claims.fd()));
}

void Links::close(int pid) {
  for (const auto& link : links_) {
    if (link->pid != pid) continue;
    link->open = false;
    take_back(*link);
  }
  callbacks_.changed();
}

void Links::take_back(Link& link) {
  link.claims.take_back();
  const auto first = std::ranges::upper_bound(link.passed, link.claims.taken(), {}, &Passed::ticket);
  unconfirmed_ -= static_cast<std::size_t>(link.passed.end() - first);
  for (auto passed = first; passed != link.passed.end(); ++passed) callbacks_.returned(std::move(passed->client));
  link.passed.erase(first, link.passed.end());
}

void Links::worker_gone(int pid) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    Link& link = *links_[i];
    if (link.pid != pid || link.ended) continue;
    link.open = false;
    link.channel->receive_now();  // its last confirmations
    if (!link.ended) end(link);   // a child of the worker holds the other end
  }
}

bool Links::any_open() const noexcept {
  return std::ranges::any_of(links_, [](const auto& link) { return link->open; });
}

bool Links::takes_more(const Link& link, const WorkerRow& row, std::uint64_t now) const noexcept {
  if (!link.open || now < link.short_until_ms) return false;
  // A worker that is being replaced leaves new connections to others; when the server stops, nobody else is there.
  if (row.phase.load() != WorkerPhase::ready && board_.server().draining.load() == 0) return false;
  // A full worker would only answer 503; other workers may have room, or this one in a moment.
  return max_connections_ == 0 || row[Count::connections].load() + link.passed.size() < max_connections_;
}

void Links::collect_candidates() {
  candidates_.clear();
  sources_.clear();
  const std::uint64_t now = monotonic_ms();
  for (const auto& link : links_) {
    const WorkerRow& row = board_.worker(link->slot, link->row);
    if (!takes_more(*link, row, now)) continue;
    const std::uint64_t coming = link->passed.size();
    candidates_.push_back({.slot = link->slot,
                           .connections = row[Count::connections].load() + coming,
                           .in_flight = row[Count::in_flight].load() + coming,
                           .latency_us = static_cast<double>(board_.slot(link->slot).mean_latency_us.load())});
    sources_.push_back(link.get());
  }
}

bool Links::pass(Client& client) {
  collect_candidates();
  while (!candidates_.empty()) {
    const auto chosen = static_cast<std::ptrdiff_t>(policy_.choose(candidates_, client.key));
    Link& link = *sources_[static_cast<std::size_t>(chosen)];
    const std::uint64_t ticket = next_ticket_;
    if (link.channel->send({MessageKind::connection, ticket, client.is_https ? "https" : ""}, client.fd.get())) {
      ++next_ticket_;
      ++unconfirmed_;
      link.passed.push_back({.client = std::move(client), .ticket = ticket});
      return true;
    }
    candidates_.erase(candidates_.begin() + chosen);  // its queue is full
    sources_.erase(sources_.begin() + chosen);
  }
  return false;
}

// Cumulative, so that a lost confirmation is made up for by the next one.
void Links::confirmed(Link& link, const ChannelMessage& message) {
  std::istringstream numbers(message.text);
  std::set<std::uint64_t> refused;
  for (std::uint64_t number = 0; numbers >> number;) refused.insert(number);
  if (!refused.empty()) {
    link.short_until_ms = monotonic_ms() + kShortMs;
    if (link.claims.taken() == 0) send_claims(link);  // may have arrived without their descriptor, too
  }
  for (; !link.passed.empty() && link.passed.front().ticket <= message.number; link.passed.pop_front()) {
    --unconfirmed_;
    if (refused.contains(link.passed.front().ticket)) callbacks_.returned(std::move(link.passed.front().client));
  }
  callbacks_.changed();
}

void Links::end(Link& link) {
  link.open = false;
  link.ended = true;
  take_back(link);
  unconfirmed_ -= link.passed.size();
  link.passed.clear();  // the worker has taken them, or its guardian
  callbacks_.changed();
}

void Links::sweep() {
  std::erase_if(links_, [](const auto& link) { return link->ended || (!link->open && link->passed.empty()); });
}

}  // namespace pronghorn::distributor
