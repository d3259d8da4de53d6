#include "worker/state/events/event_handlers.h"

#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "worker/runtime/exception_text.h"
#include "worker/state/events/messages/event_message.h"

namespace pronghorn::worker {

HandledEvents::HandledEvents(Subscriber& subscriber, const TopicNames& names, EventTally& tally,
                             std::string_view pattern, const EventHandler::Function& function,
                             pronghorn::Worker& worker)
    : names_(names), tally_(tally), pattern_(pattern), function_(function), worker_(worker) {
  subscription_ = pattern.find('*') == std::string_view::npos
                      ? subscriber.subscribe(names.channel(pattern), *this)
                      : subscriber.subscribe_pattern(names.glob(pattern), *this);
}

void HandledEvents::message(std::string_view channel, const Reply& payload) {
  const std::string_view topic = names_.topic(channel);
  const EventPtr event = payload.is_string() ? parse_message(payload.string()) : nullptr;
  if (event == nullptr || topic.empty()) return tally_.foreign_message(topic);
  if (!has_room(event->payload().size())) return;
  const std::string id = event->position() ? to_text(event->position()) : std::string();
  waiting_bytes_ += event->payload().size();
  waiting_.push_back({std::string(topic), event->payload(), id, std::exchange(gap_, false)});
  if (!std::exchange(running_, true)) spawn(run());
}

bool HandledEvents::has_room(std::size_t bytes) {
  if (waiting_.empty() || (waiting_.size() < kMaxWaiting && waiting_bytes_ + bytes <= kMaxWaitingBytes)) return true;
  if (dropped_++ == 0) {
    log_warning("a handler of on_event() is too slow: events are dropped",
                {{"pattern", pattern_}, {"waiting", waiting_.size()}});
  }
  gap_ = true;
  tally_.dropped();
  return false;
}

Task<void> HandledEvents::run() {
  while (!waiting_.empty()) {
    Event event = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= event.payload.size();
    tally_.delivered();
    try {
      co_await function_(std::move(event), worker_);
    } catch (...) {
      log_error("a handler of on_event() failed",
                {{"pattern", pattern_}, {"error", describe(std::current_exception())}});
    }
    if (dropped_ > 0 && waiting_.size() < kMaxWaiting / 2) {
      log_info("a handler of on_event() keeps up again",
               {{"pattern", pattern_}, {"dropped", std::exchange(dropped_, 0)}});
    }
  }
  running_ = false;
}

}  // namespace pronghorn::worker
