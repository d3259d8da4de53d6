#include "worker/websocket/socket.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "common/text/utf8.h"
#include "worker/state/events/event_service.h"
#include "worker/state/events/messages/bookmark.h"
#include "worker/websocket/connection.h"
#include "worker/websocket/protocol/frame.h"
#include "worker/websocket/socket_service.h"

namespace pronghorn::worker {
namespace {

constexpr LedgerMark kUnknownMark{.epoch = 0, .offset = UINT64_MAX};

// Where a socket of another worker goes on. A topic of which a history is wanted and to which nothing was published yet
// cannot have missed anything: its first event is the first of its history.
Bookmark bookmark_of(const LedgerMark& mark, const SocketRecord::Topic& topic) {
  if (mark == kUnknownMark) return Bookmark(topic.after);
  if (mark.epoch == 0 && topic.history > 0) return Bookmark("0");
  return Bookmark(Position{.epoch = mark.epoch, .offset = mark.offset});
}

}  // namespace

void require_close(std::uint16_t code, std::string_view reason) {
  if (!valid_close_code(code) || code == kCloseProtocolError) {
    throw std::invalid_argument(
        fmt::format("close(): an application may not send the code {}; use 1000, 1001, 1003, 1007 to "
                    "1014 or 3000 to 4999",
                    code));
  }
  if (reason.size() > kMaxCloseReason || !is_utf8(reason)) {
    throw std::invalid_argument(fmt::format("close(): a reason is UTF-8 of at most {} bytes", kMaxCloseReason));
  }
}

Socket::Socket(SocketService& service, SocketRoute& route, Request::Client client, SocketRecord record)
    : service_(service), route_(route), client_(std::move(client)), record_(std::move(record)) {
  for (const SocketRecord::Topic& topic : record_.topics) {
    names_.push_back(topic.name);
    topics_.push_back(std::make_unique<SocketTopic>(*this));
  }
}

Socket::~Socket() {
  disconnect(false);
  for (SocketRoom* room : waiting_) room->detach();
}

void Socket::attach(std::string bytes) {
  if (bytes.size() > kMaxSocketAttachment) {
    throw std::invalid_argument(
        fmt::format("attach(): {} bytes; a socket keeps at most {}", bytes.size(), kMaxSocketAttachment));
  }
  record_.attachment = std::move(bytes);
  changed_ = true;
  if (connection_ != nullptr) connection_->flush_later();
}

void Socket::send(std::string_view payload, bool is_text) {
  if (is_text && !is_utf8(payload)) throw std::invalid_argument("send(): the text is not UTF-8; use send_binary()");
  if (closing()) return;
  if (connection_ != nullptr) return connection_->send(payload, is_text);
  SocketConnection::append_message(early_->frames, *this, payload, is_text);
}

// --- Topics ----------------------------------------------------------------------------------------------------------

std::size_t Socket::find(std::string_view topic) const noexcept {
  return static_cast<std::size_t>(std::ranges::find(names_, topic) - names_.begin());
}

std::uint32_t Socket::history_of(std::string_view topic) const noexcept {
  const std::size_t index = find(topic);
  return index == names_.size() ? 0 : record_.topics[index].history;
}

void Socket::subscribe(std::string_view topic, const SubscribeOptions& options) {
  if (!is_topic(topic)) {
    throw std::invalid_argument(fmt::format("subscribe(\"{}\"): a topic has 1 to {} bytes and no control characters",
                                            topic.substr(0, 40), kMaxTopic));
  }
  if (options.history > kMaxEventHistory) {
    throw std::invalid_argument(fmt::format("subscribe(): a history is of at most {} events", kMaxEventHistory));
  }
  if (options.member.size() > kMaxSocketMember) {
    throw std::invalid_argument(fmt::format("subscribe(): `member` is at most {} bytes", kMaxSocketMember));
  }
  service_.require_redis("subscribe()");
  if (ended_) return;
  const std::size_t index = find(topic);
  const bool is_new = index == names_.size();
  if (is_new && names_.size() == kMaxSocketTopics) {
    throw std::invalid_argument(fmt::format("subscribe(): a socket has at most {} topics", kMaxSocketTopics));
  }
  if (is_new) {
    names_.emplace_back(topic);
    topics_.push_back(std::make_unique<SocketTopic>(*this));
    record_.topics.emplace_back().name = topic;
  }
  SocketRecord::Topic& entry = record_.topics[index];
  entry.history = options.history;
  const bool was_present = std::exchange(entry.present, options.presence);
  entry.member = options.member;
  changed_ = true;
  // A longer text is no place either.
  if (is_new) entry.after = options.after.substr(0, kMaxSocketAfter);
  if (connection_ == nullptr) return;
  if (is_new) {
    begin_topic(index, Bookmark(entry.after));
    join_presence(index);
  } else if (entry.present) {
    service_.join_presence(topic, record_.id, entry.member);
  } else if (was_present) {
    service_.leave_presence(topic, record_.id);
  }
  connection_->flush_later();
}

void Socket::begin_topic(std::size_t index, const Bookmark& from) {
  service_.join(*topics_[index], record_.topics[index].name, from);
}

void Socket::join_presence(std::size_t index) {
  const SocketRecord::Topic& topic = record_.topics[index];
  if (topic.present) service_.join_presence(topic.name, record_.id, topic.member);
}

void Socket::unsubscribe(std::string_view topic) {
  const std::size_t index = find(topic);
  if (index == names_.size()) return;
  const auto at = static_cast<std::ptrdiff_t>(index);
  if (connection_ != nullptr && record_.topics[index].present) service_.leave_presence(topic, record_.id);
  topics_.erase(topics_.begin() + at);
  names_.erase(names_.begin() + at);
  record_.topics.erase(record_.topics.begin() + at);
  changed_ = true;
  if (connection_ != nullptr) connection_->flush_later();
}

bool Socket::knows_places() const noexcept {
  return std::ranges::all_of(topics_, [](const auto& topic) { return topic->position().has_value(); });
}

// What the handler of a message publishes has a number that is the same when the message is handled again, so a topic
// with a history gets it once: it may be in Redis although the worker was killed before it heard of that.
Task<Published> Socket::publish(std::string topic, std::string_view payload, PublishOptions options) {
  constexpr std::uint16_t kMostPublications = 1 << 12;
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 40;  // of a connection: the product is below 2^53
  auto& events = static_cast<EventService&>(service_.worker().events().service());
  const bool has_number =
      options.history > 0 && message_ != 0 && message_ < kMostBytes && publications_ + 1 < kMostPublications;
  if (!has_number) return events.publish(std::move(topic), std::string(payload), options);
  ++publications_;
  return events.publish(std::move(topic), std::string(payload), options, record_.id,
                        message_ * kMostPublications + publications_);
}

std::vector<LedgerMark> Socket::marks() const {
  std::vector<LedgerMark> marks;
  marks.reserve(topics_.size());
  for (const auto& topic : topics_) marks.push_back(topic->mark());
  return marks;
}

// --- Closing ---------------------------------------------------------------------------------------------------------

void Socket::close(std::uint16_t code, std::string_view reason) {
  require_close(code, reason);
  if (closing()) return;
  if (connection_ != nullptr) return connection_->begin_close(code, reason);
  early_->close_code = code;
  early_->close_reason = reason;
}

bool Socket::closing() const noexcept {
  if (connection_ != nullptr) return connection_->closing();
  return ended_ || early_->close_code != 0;
}

void Socket::sent_close(std::uint16_t code) {
  record_.sent_close = code;
  changed_ = true;
}

bool Socket::has_room() const noexcept {
  return connection_ == nullptr || connection_->has_room();  // before the handshake is answered nobody takes anything
}

bool Socket::waits_for_room() const noexcept {
  const auto waits = [](const auto& topic) { return topic->joined() && !topic->is_live(); };
  return !waiting_.empty() || std::ranges::any_of(topics_, waits);
}

void Socket::resume_waiting() {
  while (!waiting_.empty() && has_room()) {
    SocketRoom* const next = waiting_.front();
    waiting_.erase(waiting_.begin());
    next->resume();
  }
  if (!has_room()) return;
  for (std::size_t i = 0; i < topics_.size(); ++i) topics_[i]->resume();
}

// --- The connection --------------------------------------------------------------------------------------------------

void Socket::begin_topics() {
  for (std::size_t i = 0; i < topics_.size(); ++i) begin_topic(i, Bookmark(record_.topics[i].after));
}

void Socket::topic_began() {
  if (connection_ != nullptr) return connection_->flush_later();
  if (early_->waits_for_topics && knows_places()) std::exchange(early_->waits_for_topics, {}).resume();
}

void Socket::deliver(const std::string& topic, const EventPtr& event) {
  if (connection_ != nullptr) return connection_->deliver(topic, event);
  if (early_->close_code != 0) return;
  if (early_->frames.size() >= route_.entry.max_queue) {  // a flood while the handshake waits
    if (route_.entry.slow == SlowSocket::skip) return add(route_.row.skipped);
    return close(kClosePolicy, "the topics publish too fast");
  }
  const std::string_view frame = service_.frame_of(route_, topic, event, record_);
  if (frame.empty()) return;
  add(route_.row.messages_out);
  early_->frames.append(frame);
}

void Socket::deliver_gap(const std::string& topic) {
  if (connection_ != nullptr) return connection_->deliver_gap(topic);
  const std::string message = service_.gap_message(route_, topic);
  if (!message.empty()) SocketConnection::append_message(early_->frames, *this, message, true);
}

bool Socket::takes_events() const noexcept {
  return connection_ != nullptr ? connection_->has_room() : early_->frames.size() < SocketConnection::kRoom;
}

void Socket::answer() {
  early_->answered = std::exchange(early_->frames, {});
  for (const auto& topic : topics_) topic->written();
  if (early_->close_code != 0) {
    service_.writer().close(early_->answered, early_->close_code, early_->close_reason);
    sent_close(early_->close_code);
  }
  add(route_.row.bytes_out, early_->answered.size());
}

void Socket::connect(SocketConnection& connection, std::span<const LedgerMark> marks) {
  connection_ = &connection;
  const std::unique_ptr<Early> early = std::move(early_);
  if (!early->frames.empty()) connection.send_frames(early->frames);
  for (std::size_t i = 0; i < topics_.size(); ++i) {
    if (!topics_[i]->joined())
      begin_topic(i, bookmark_of(i < marks.size() ? marks[i] : kUnknownMark, record_.topics[i]));
    join_presence(i);
  }
  if (early->close_code != 0) connection.begin_close(early->close_code, early->close_reason);
  resume_waiting();
}

void Socket::disconnect(bool moves) noexcept {
  if (connection_ == nullptr || std::exchange(ended_, true)) return;
  for (std::size_t i = 0; i < topics_.size(); ++i) {
    topics_[i]->leave();
    if (!record_.topics[i].present) continue;
    if (moves) {
      service_.release_presence(names_[i], record_.id);
    } else {
      service_.leave_presence(names_[i], record_.id);
    }
  }
}

std::string_view Socket::state() {
  for (std::size_t i = 0; i < topics_.size(); ++i) {
    if (topics_[i]->position()) record_.topics[i].after.clear();  // the mark says more
  }
  std::string& scratch = service_.scratch();
  scratch.clear();
  write_record(record_, scratch);
  return scratch;
}

// --- One topic -------------------------------------------------------------------------------------------------------

LedgerMark SocketTopic::mark() const noexcept {
  const std::optional<Position> at = position();
  return at ? LedgerMark{.epoch = at->epoch, .offset = at->offset} : kUnknownMark;
}

void SocketTopic::event(const EventPtr& event) {
  unwritten_ = true;
  socket_.deliver(topic(), event);
}

// After an interruption nobody knows whether events without a history were missed. This topic's have one, unless nothing
// was published yet.
void SocketTopic::gap(Gap gap) {
  const std::optional<Position> at = position();
  const bool nothing_yet = at && !*at && socket_.history_of(topic()) > 0;
  if (gap != Gap::interrupted || !nothing_yet) socket_.deliver_gap(topic());
}

void SocketTopic::began(const Position&) {
  unwritten_ = true;
  socket_.topic_began();
}

bool SocketTopic::wants() noexcept { return socket_.takes_events(); }

}  // namespace pronghorn::worker
