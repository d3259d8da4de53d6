#include "worker/testing/test_events.h"

#include <utility>

namespace pronghorn::worker {
namespace {

// "name: value"
void take_field(std::string_view line, TestEvent& event, bool& has_data) {
  const std::size_t colon = line.find(": ");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 2);
  if (name == "event") event.event = value;
  if (name == "id") event.id = value;
  if (name == "data") {
    if (has_data) event.data += '\n';
    event.data += value;
    has_data = true;
  }
}

}  // namespace

std::vector<TestEvent> parse_events(std::string_view stream) {
  std::vector<TestEvent> events;
  TestEvent event;
  bool has_fields = false;
  bool has_data = false;
  for (std::size_t end = stream.find('\n'); end != std::string_view::npos; end = stream.find('\n')) {
    const std::string_view line = stream.substr(0, end);
    stream.remove_prefix(end + 1);
    if (!line.empty() && line.front() != ':') {
      take_field(line, event, has_data);
      has_fields = true;
    } else if (line.empty() && has_fields) {
      events.push_back(std::move(event));
      event = {};
      has_fields = has_data = false;
    }
  }
  return events;
}

}  // namespace pronghorn::worker
