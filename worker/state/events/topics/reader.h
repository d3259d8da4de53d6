// One reader of a topic: the queue between the topic and a client.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "pronghorn/task.h"
#include "pronghorn/topics.h"
#include "worker/state/events/messages/bookmark.h"
#include "worker/state/events/messages/event_message.h"
#include "worker/state/events/messages/topic_listener.h"

namespace pronghorn::worker {

class Topic;

// What a reader gets: an event, a gap, where it begins, or a heartbeat.
struct ReaderItem {
  EventPtr event = nullptr;
  Gap gap = Gap::none;
  // Without an event: what follows comes after this, as far as that is known. Without a gap: the first item of a reader
  // that begins now, if the topic has a history.
  Position begins_after = {};
  bool is_heartbeat = false;
};

struct ReaderLimits {
  std::size_t events = 256;
  SlowReader slow = SlowReader::close;
  std::chrono::milliseconds heartbeat{0};  // 0: none
};

// Begins where the topic is, or behind it, after an event that its client has seen before: then it reads the history by
// itself, until it has caught up with the topic, which from then on gives it each event.
//
// Context:   loop thread. The topic resumes the coroutine that waits, from the loop.
// Ownership: whoever reads; usually a local variable of the coroutine that does. Must not outlive the TopicTable.
class TopicReader final : private TopicListener {
 public:
  static constexpr std::size_t kMaxQueuedBytes = 4 * 1024 * 1024;
  static constexpr std::size_t kLeastQueue = 64;  // events; less could overflow before the reader has had its turn

  // `after` is text of the client: see Bookmark.
  TopicReader(Topic& topic, std::string_view after, ReaderLimits limits);
  TopicReader(const TopicReader&) = delete;
  TopicReader& operator=(const TopicReader&) = delete;
  ~TopicReader();

  // Waits until there is an item, reading the history if it is behind. Nothing is missed if the task is destroyed.
  [[nodiscard]] Task<void> wait();
  // The next item; nullopt if there is none now.
  [[nodiscard]] std::optional<ReaderItem> take();

  // Waits until the queue is too long and slow is SlowReader::close; there are no more items then. Returns at once if
  // that has happened.
  class Overflow;
  [[nodiscard]] Overflow overflow() noexcept;

 private:
  enum class State { waiting, behind, live };
  class Items;

  // TopicListener
  void begin(const Position& topic) override;
  void offer(const EventPtr& event) override;
  void offer_gap(Gap gap) override;
  [[nodiscard]] bool tick(std::uint64_t now_ms) override;
  // Resumes the coroutine if there is something for it. It may destroy the reader.
  void wake() override;

  [[nodiscard]] bool has_items() const noexcept { return missed_slow_ || !queue_.empty(); }
  [[nodiscard]] Task<void> read_history();
  void add_page(const HistoryPage& page);
  void push(ReaderItem item);
  void make_room();

  Topic& topic_;
  ReaderLimits limits_;
  State state_ = State::waiting;
  Bookmark bookmark_;  // at the last event in the queue, or where it begins
  std::deque<ReaderItem> queue_;
  std::size_t queued_bytes_ = 0;
  bool missed_slow_ = false;  // the oldest were dropped
  bool overflowed_ = false;
  std::uint64_t taken_ms_ = 0;  // when an item was last taken
  std::coroutine_handle<> waiting_;
  std::coroutine_handle<> overflow_waiting_;
};

class TopicReader::Overflow {
 public:
  explicit Overflow(TopicReader& reader) noexcept : reader_(reader) {}
  Overflow(const Overflow&) = delete;
  Overflow& operator=(const Overflow&) = delete;
  ~Overflow() { reader_.overflow_waiting_ = nullptr; }
  [[nodiscard]] bool await_ready() const noexcept { return reader_.overflowed_; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { reader_.overflow_waiting_ = waiting; }
  void await_resume() const noexcept {}

 private:
  TopicReader& reader_;
};

inline TopicReader::Overflow TopicReader::overflow() noexcept { return Overflow(*this); }

}  // namespace pronghorn::worker
