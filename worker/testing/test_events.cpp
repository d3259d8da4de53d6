#include "worker/testing/test_events.h"

#include <utility>

namespace pronghorn::worker {

void TestEvents::parse(std::string_view stream) {
  for (std::size_t end = stream.find('\n', parsed_); end != std::string_view::npos; end = stream.find('\n', parsed_)) {
    take_line(stream.substr(parsed_, end - parsed_));
    parsed_ = end + 1;
  }
}

// "name: value", a comment, or the empty line after an event.
void TestEvents::take_line(std::string_view line) {
  if (line.empty()) {
    if (has_fields_) events_.push_back(std::move(event_));
    event_ = {};
    has_fields_ = has_data_ = false;
    return;
  }
  if (line.front() == ':') return;
  has_fields_ = true;
  const std::size_t colon = line.find(": ");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 2);
  if (name == "event") event_.event = value;
  if (name == "id") event_.id = value;
  if (name == "data") {
    if (std::exchange(has_data_, true)) event_.data += '\n';
    event_.data += value;
  }
}

}  // namespace pronghorn::worker
