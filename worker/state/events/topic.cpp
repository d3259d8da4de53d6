#include "worker/state/events/topic.h"

#include <uv.h>

#include <algorithm>
#include <utility>

#include "worker/state/events/event_service.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxParked = 1024;
constexpr std::size_t kMaxParkedBytes = 4 * 1024 * 1024;
constexpr std::size_t kShare = TopicReader::kLeastQueue / 2;

}  // namespace

Topic::Topic(EventService& service, std::string_view name)
    : service_(service), name_(name), keys_{service.names().facts_key(name), service.names().stream_key(name)} {
  subscription_ = service_.subscriber().subscribe(service_.names().channel(name), *this);
  if (subscription_.active()) subscribed({});
  tick();
}

// ---- readers

void Topic::join(TopicReader& reader) {
  readers_.push_back(&reader);
  ++living_;
  if (state_ == State::live) reader.begin(position_);
}

void Topic::leave(TopicReader& reader) noexcept {
  const auto found = std::ranges::find(readers_, &reader);
  --living_;
  if (waking_) {
    *found = nullptr;
    return;
  }
  *found = readers_.back();
  readers_.pop_back();
  if (living_ == 0) service_.remove(*this);
}

// Coroutines of clients run only here. They may destroy readers and make new ones.
void Topic::wake() {
  if (std::exchange(waking_, true)) return;
  for (std::size_t i = 0; i < readers_.size(); ++i) {
    if (readers_[i] != nullptr) readers_[i]->wake();
  }
  waking_ = false;
  if (living_ < readers_.size()) std::erase(readers_, nullptr);
  if (living_ == 0) service_.remove(*this);
}

void Topic::tick() {
  tick_.arm(
      [](void* context) {
        auto* topic = static_cast<Topic*>(context);
        const std::uint64_t now_ms = uv_hrtime() / 1'000'000;
        for (TopicReader* reader : topic->readers_) reader->tick(now_ms);
        topic->tick();
        topic->wake();
      },
      this);
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
  if (event == nullptr) return service_.refuse_message(name_);
  if (state_ != State::live) return park(std::move(event));
  accept(event);
  wake();
}

void Topic::park(EventPtr event) {
  parked_bytes_ += event->payload().size();
  parked_.push_back(std::move(event));
  if (parked_.size() <= kMaxParked && parked_bytes_ <= kMaxParkedBytes) return;
  forget_parked();
  parked_too_much_ = true;
}

void Topic::forget_parked() noexcept {
  parked_.clear();
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
  for (TopicReader* reader : readers_) reader->offer(event);
}

void Topic::offer_gap(Gap gap) {
  service_.count_gap();
  for (TopicReader* reader : readers_) reader->offer_gap(gap);
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
      page_ = co_await read_history(service_.client(), keys_, position_);
    } else {
      page_ = co_await read_last_position(service_.client(), keys_);
    }
  } catch (const RedisUnavailable&) {
    outcome_ = Outcome::later;
  } catch (const std::exception& error) {
    outcome_ = Outcome::broken;
    service_.history_is_broken(name_, error.what());
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
    for (TopicReader* reader : readers_) reader->begin(position_);
    take_parked();
  }
  wake();
}

void Topic::take_page() {
  find_gap(page_);
  for (const EventPtr& event : page_.events) deliver(event);
  if (page_.events.empty()) position_ = page_.last;
  page_.events.clear();
}

// Tells the readers if `page` does not follow what they were given.
void Topic::find_gap(const HistoryPage& page) {
  const Position& last = page.last;
  const std::uint64_t first = page.events.empty() ? last.offset + 1 : page.events.front()->position().offset;
  if (!position_) {
    if (!last || first != 1) offer_gap(Gap::interrupted);
  } else if (last.epoch != position_.epoch || last.offset < position_.offset) {
    offer_gap(Gap::lost);
  } else if (first != position_.offset + 1) {
    offer_gap(Gap::expired);
  }
}

// What was parked follows in shares, so that readers can take one before the next comes.
void Topic::take_parked() {
  for (std::size_t taken = 0; taken < kShare && !parked_.empty() && state_ == State::catching_up; ++taken) {
    const EventPtr event = std::move(parked_.front());
    parked_.pop_front();
    parked_bytes_ -= event->payload().size();
    accept(event);
  }
  if (state_ != State::catching_up) return;
  if (!parked_.empty()) {
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
  if (!std::exchange(parked_too_much_, false)) return;
  if (position_) return fall_behind();
  offer_gap(Gap::interrupted);
}

}  // namespace pronghorn::worker
