// The client's side of server-sent events, for TestClient.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "pronghorn/testing.h"

namespace pronghorn::worker {

// Reads the events of a stream that pronghorn::events() has made. Comments are skipped.
class TestEvents {
 public:
  // `stream` is the whole stream so far. Continues where the last call stopped.
  void parse(std::string_view stream);
  // The complete events so far.
  [[nodiscard]] const std::vector<TestEvent>& events() const noexcept { return events_; }

 private:
  void take_line(std::string_view line);

  std::vector<TestEvent> events_;
  TestEvent event_;  // incomplete
  bool has_fields_ = false;
  bool has_data_ = false;
  std::size_t parsed_ = 0;  // bytes of the stream
};

}  // namespace pronghorn::worker
