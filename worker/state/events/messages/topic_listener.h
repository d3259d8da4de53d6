// What a topic calls.
#pragma once

#include <cstdint>

#include "worker/state/events/messages/bookmark.h"
#include "worker/state/events/messages/event_message.h"

namespace pronghorn::worker {

// All but wake() only note what they are told: they must not join or leave a topic, or call those who may.
//
// Context: loop thread.
class TopicListener {
 public:
  // The topic is at `topic`, and what is offered from now on follows. What was offered before is not for a listener
  // that begins now. May be called again.
  virtual void begin(const Position& topic) = 0;
  virtual void offer(const EventPtr& event) = 0;  // has been published
  virtual void offer_gap(Gap gap) = 0;            // before what is offered next
  // Once a second, if somebody has called Topic::want_ticks(). Returns whether it wants more.
  [[nodiscard]] virtual bool tick(std::uint64_t now_ms) {
    (void)now_ms;
    return false;
  }
  // Called after the others. May do anything, and destroy the listener.
  virtual void wake() = 0;

 protected:
  ~TopicListener() = default;
};

}  // namespace pronghorn::worker
