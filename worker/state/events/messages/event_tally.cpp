#include "worker/state/events/messages/event_tally.h"

#include <utility>

#include "common/log.h"

namespace pronghorn::worker {

void EventTally::foreign_message(std::string_view topic) {
  dropped();
  if (std::exchange(told_foreign_, true)) return;
  log_warning("ignored a message in a channel of events: it was not published by publish()", {{"topic", topic}});
}

void EventTally::broken_history(std::string_view topic, std::string_view error) {
  if (std::exchange(told_broken_, true)) return;
  log_error(
      "the history of a topic cannot be read: its keys in Redis hold something else, or the user may not run the "
      "scripts",
      {{"topic", topic}, {"keys", names_.facts_key(topic)}, {"error", error}});
}

}  // namespace pronghorn::worker
