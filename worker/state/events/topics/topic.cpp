#include "worker/state/events/topics/topic.h"

#include <uv.h>

#include <algorithm>
#include <utility>

#include "worker/state/events/topics/reader.h"
#include "worker/state/events/topics/topic_group.h"
#include "worker/state/events/topics/topic_table.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxParked = 1024;
constexpr std::size_t kMaxParkedBytes = 4 * 1024 * 1024;
constexpr std::size_t kShare = TopicReader::kLeastQueue / 2;

}  // namespace

Topic::Topic(TopicTable& table, std::string_view name)
    : table_(table), name_(name), keys_{table.names().facts_key(name), table.names().stream_key(name)} {
  subscription_ = table_.subscriber().subscribe(table_.names().channel(name), *this);
  if (subscription_.active()) subscribed({});
}

Topic::~Topic() = default;

// ---- listeners

void Topic::join(TopicListener& listener) {
  listeners_.push_back(&listener);
  ++living_;
  if (state_ == State::live) listener.begin(position_);
}

void Topic::leave(TopicListener& listener) noexcept {
  const auto found = std::ranges::find(listeners_, &listener);
  --living_;
  if (waking_) {
    *found = nullptr;
    return;
  }
  *found = listeners_.back();
  listeners_.pop_back();
  if (living_ == 0) table_.remove(*this);
}

TopicGroup& Topic::group() {
  if (!group_) group_ = std::make_unique<TopicGroup>(*this);
  return *group_;
}

// Clients are called, and their coroutines run, only here and in the group's own turns. They may destroy listeners and
// make new ones.
void Topic::wake() {
  if (std::exchange(waking_, true)) return;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i] != nullptr) listeners_[i]->wake();
  }
  waking_ = false;
  if (living_ < listeners_.size()) std::erase(listeners_, nullptr);
  if (living_ == 0) table_.remove(*this);
}

void Topic::want_ticks() {
  if (!std::exchange(ticking_, true)) arm_tick();
}

void Topic::arm_tick() {
  tick_.arm([](void* topic) { static_cast<Topic*>(topic)->tick(); }, this);
}

void Topic::tick() {
  const std::uint64_t now_ms = uv_hrtime() / 1'000'000;
  ticking_ = false;
  for (TopicListener* listener : listeners_) {
    if (listener->tick(now_ms)) ticking_ = true;
  }
  if (ticking_) arm_tick();
  wake();
}

// ---- the subscription

void Topic::subscribed(std::string_view) { fall_behind(); }

void Topic::interrupted(std::string_view) {
  state_ = State::waiting;
  reading_.reset();
  settle_.cancel();
  retry_.cancel();
  forget_parked();
}

void Topic::message(std::string_view, const Reply& payload) {
  EventPtr event = payload.is_string() ? parse_message(payload.string()) : nullptr;
  if (event == nullptr) return table_.tally().foreign_message(name_);
  if (state_ != State::live) return park(std::move(event));
  accept(event);
  wake();
}

void Topic::park(EventPtr event) {
  parked_bytes_ += event->payload().size();
  parked_.push_back(std::move(event));
  if (parked_.size() - parked_taken_ <= kMaxParked && parked_bytes_ <= kMaxParkedBytes) return;
  forget_parked();
  parked_too_much_ = true;
}

void Topic::forget_parked() noexcept {
  std::vector<EventPtr>().swap(parked_);
  parked_taken_ = 0;
  parked_bytes_ = 0;
  parked_too_much_ = false;
}

void Topic::accept(const EventPtr& event) {
  const Position& position = event->position();
  if (!position) return deliver(event);
  const bool begins = !position_ && position.offset == 1;
  const bool same_epoch = position.epoch == position_.epoch;
  if (same_epoch && position.offset <= position_.offset) return;
  if (begins || (same_epoch && position.offset == position_.offset + 1)) return deliver(event);
  // Something was missed. The event itself need not be kept: the history has it, unless somebody has forged it.
  fall_behind();
}

void Topic::fall_behind() {
  state_ = State::reading;
  begin_read();
}

void Topic::deliver(const EventPtr& event) {
  if (event->position()) position_ = event->position();
  for (TopicListener* listener : listeners_) listener->offer(event);
}

void Topic::offer_gap(Gap gap) {
  table_.tally().gap();
  for (TopicListener* listener : listeners_) listener->offer_gap(gap);
}

// ---- the history

void Topic::begin_read() {
  reading_ = read();
  reading_.start();
}

Task<void> Topic::read() {
  outcome_ = Outcome::arrived;
  try {
    if (located_) {
      page_ = co_await read_history(table_.client(), keys_, position_);
    } else {
      page_ = co_await read_last_position(table_.client(), keys_);
    }
  } catch (const RedisUnavailable&) {
    outcome_ = Outcome::later;
  } catch (const std::exception& error) {
    outcome_ = Outcome::broken;
    table_.tally().broken_history(name_, error.what());
  }
  auto& timer = outcome_ == Outcome::later ? retry_ : settle_;
  timer.arm([](void* topic) { static_cast<Topic*>(topic)->read_ended(); }, this);
}

void Topic::read_ended() {
  if (outcome_ == Outcome::later) return begin_read();
  if (outcome_ == Outcome::broken) page_ = {};
  if (located_) {
    take_page();
  } else {
    located_ = true;
    position_ = page_.last;
  }
  if (position_.offset < page_.last.offset) {
    begin_read();
  } else {
    state_ = State::catching_up;
    tell_where_it_is();
    take_parked();
  }
  wake();
}

void Topic::take_page() {
  find_gap(page_);
  for (const EventPtr& event : page_.events) deliver(event);
  if (page_.events.empty()) position_ = page_.last;
  std::vector<EventPtr>().swap(page_.events);
}

// Tells the listeners if `page` does not follow what they were given.
void Topic::find_gap(const HistoryPage& page) {
  const Position& last = page.last;
  const std::uint64_t first = page.first_offset();
  Gap gap = Gap::none;
  if (!position_) {
    if (!last || first != 1) gap = Gap::interrupted;
  } else if (last.epoch != position_.epoch || last.offset < position_.offset) {
    gap = Gap::lost;
  } else if (first != position_.offset + 1) {
    gap = Gap::expired;
  }
  if (gap == Gap::none) return;
  position_ = last ? Position{last.epoch, first - 1} : Position{};
  offer_gap(gap);
}

void Topic::tell_where_it_is() {
  for (TopicListener* listener : listeners_) listener->begin(position_);
}

// What was parked follows in shares, so that readers can take one before the next comes.
void Topic::take_parked() {
  for (std::size_t taken = 0; taken < kShare && state_ == State::catching_up && parked_taken_ < parked_.size();
       ++taken) {
    const EventPtr event = std::move(parked_[parked_taken_++]);
    parked_bytes_ -= event->payload().size();
    accept(event);
  }
  if (state_ != State::catching_up) return;
  if (parked_taken_ < parked_.size()) {
    if (parked_taken_ >= kMaxParked) {
      parked_.erase(parked_.begin(), parked_.begin() + static_cast<std::ptrdiff_t>(std::exchange(parked_taken_, 0)));
    }
    settle_.arm(
        [](void* context) {
          auto* topic = static_cast<Topic*>(context);
          topic->take_parked();
          topic->wake();
        },
        this);
    return;
  }
  state_ = State::live;
  const bool missed = parked_too_much_;
  forget_parked();
  tell_where_it_is();  // those who have joined since the page
  if (!missed) return;
  if (position_) return fall_behind();
  offer_gap(Gap::interrupted);
}

}  // namespace pronghorn::worker
