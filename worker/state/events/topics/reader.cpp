#include "worker/state/events/topics/reader.h"

#include <uv.h>

#include <algorithm>
#include <string>
#include <utility>

#include "pronghorn/timer.h"
#include "worker/state/events/messages/history.h"
#include "worker/state/events/topics/topic.h"
#include "worker/state/events/topics/topic_table.h"

namespace pronghorn::worker {
namespace {

constexpr std::chrono::milliseconds kRetryHistory{250};

std::uint64_t now_ms() noexcept { return uv_hrtime() / 1'000'000; }

}  // namespace

// Suspends until wake() finds something to do.
class TopicReader::Items {
 public:
  explicit Items(TopicReader& reader) noexcept : reader_(reader) {}
  Items(const Items&) = delete;
  Items& operator=(const Items&) = delete;
  ~Items() { reader_.waiting_ = nullptr; }
  [[nodiscard]] bool await_ready() const noexcept { return reader_.has_items() || reader_.state_ == State::behind; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { reader_.waiting_ = waiting; }
  void await_resume() const noexcept {}

 private:
  TopicReader& reader_;
};

TopicReader::TopicReader(Topic& topic, std::string_view after, ReaderLimits limits)
    : topic_(topic), limits_(limits), bookmark_(after), taken_ms_(now_ms()) {
  limits_.events = std::max(limits_.events, kLeastQueue);
  topic_.join(*this);
  if (limits_.heartbeat.count() > 0) topic_.want_ticks();
}

TopicReader::~TopicReader() { topic_.leave(*this); }

// ---- the client's side

Task<void> TopicReader::wait() {
  while (!has_items()) {
    if (state_ == State::behind) {
      co_await read_history();
    } else {
      Items items(*this);
      co_await items;
    }
  }
}

std::optional<ReaderItem> TopicReader::take() {
  if (!has_items()) return std::nullopt;
  taken_ms_ = now_ms();
  if (std::exchange(missed_slow_, false)) return ReaderItem{.gap = Gap::slow};
  ReaderItem item = std::move(queue_.front());
  queue_.pop_front();
  if (item.event) {
    queued_bytes_ -= item.event->payload().size();
    topic_.table().tally().delivered();
  }
  return item;
}

Task<void> TopicReader::read_history() {
  std::optional<HistoryPage> page;
  bool retry = false;
  try {
    page = co_await worker::read_history(topic_.table().client(), topic_.keys(), bookmark_.position());
  } catch (const RedisUnavailable&) {
    retry = true;
  } catch (const std::exception& error) {
    topic_.table().tally().broken_history(topic_.name(), error.what());
  }
  if (retry) {
    co_await sleep_for(kRetryHistory);
    co_return;
  }
  if (state_ != State::behind) co_return;
  if (page) co_return add_page(*page);
  state_ = State::live;
  bookmark_.pass(topic_.position());
  push({.gap = Gap::lost, .begins_after = topic_.position()});
}

// Also decides whether it has caught up with the topic: only if no event is missing that the topic has already given to
// its readers.
void TopicReader::add_page(const HistoryPage& page) {
  const Gap gap = bookmark_.turn_to(page);
  if (gap != Gap::none) push({.gap = gap, .begins_after = bookmark_.position()});
  for (const EventPtr& event : page.events) {
    push({.event = event});
    bookmark_.pass(event->position());
  }
  const Position& last = bookmark_.position();
  if (last.offset < page.last.offset) return;  // there are more pages
  const Position& topic = topic_.position();
  if (topic.epoch != last.epoch || topic.offset <= last.offset) state_ = State::live;
}

// ---- the topic's side

void TopicReader::begin(const Position& topic) {
  if (state_ != State::waiting) return;
  const Bookmark::Start start = bookmark_.begin(topic);
  state_ = start.behind ? State::behind : State::live;
  if (start.gap != Gap::none) push({.gap = start.gap});
  if (topic && bookmark_.begins_with_next()) push({.begins_after = topic});
}

void TopicReader::offer(const EventPtr& event) {
  if (state_ == State::waiting || overflowed_) return;
  const Position& position = event->position();
  if (position) {
    if (state_ == State::behind) return;  // it will find it in the history
    if (bookmark_.has_passed(position)) return;
    bookmark_.pass(position);
  } else if (state_ == State::behind && queue_.size() >= limits_.events) {
    return topic_.table().tally().dropped();
  }
  push({.event = event});
}

void TopicReader::offer_gap(Gap gap) {
  if (state_ == State::live) push({.gap = gap, .begins_after = topic_.position()});
}

bool TopicReader::tick(std::uint64_t now_ms) {
  if (limits_.heartbeat.count() == 0) return false;
  if (has_items() || !waiting_) return true;
  if (now_ms - taken_ms_ >= static_cast<std::uint64_t>(limits_.heartbeat.count())) push({.is_heartbeat = true});
  return true;
}

void TopicReader::push(ReaderItem item) {
  if (overflowed_) return;
  if (item.event) queued_bytes_ += item.event->payload().size();
  queue_.push_back(std::move(item));
  if (queue_.size() > limits_.events || queued_bytes_ > kMaxQueuedBytes) make_room();
}

// One item always stays, however large it is.
void TopicReader::make_room() {
  if (state_ == State::behind) return;  // what it reads itself is taken before it reads more
  std::uint64_t dropped = 0;
  const bool close = limits_.slow == SlowReader::close && queue_.size() > 1;
  while (queue_.size() > 1 && (close || queue_.size() > limits_.events || queued_bytes_ > kMaxQueuedBytes)) {
    if (queue_.front().event) {
      queued_bytes_ -= queue_.front().event->payload().size();
      ++dropped;
    }
    queue_.pop_front();
    if (!close) missed_slow_ = true;
  }
  if (close) {
    if (queue_.front().event) ++dropped;
    queue_.clear();
    queued_bytes_ = 0;
    overflowed_ = true;
  }
  topic_.table().tally().dropped(dropped);
}

// The coroutine that is resumed may destroy this reader.
void TopicReader::wake() {
  if (overflowed_) {
    if (overflow_waiting_) std::exchange(overflow_waiting_, nullptr).resume();
    return;
  }
  if (waiting_ && (has_items() || state_ == State::behind)) std::exchange(waiting_, nullptr).resume();
}

}  // namespace pronghorn::worker
