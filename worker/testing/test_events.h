// The client's side of server-sent events, for TestClient.
#pragma once

#include <string_view>
#include <vector>

#include "pronghorn/testing.h"

namespace pronghorn::worker {

// The complete events of a stream that events() has made; comments are none.
[[nodiscard]] std::vector<TestEvent> parse_events(std::string_view stream);

}  // namespace pronghorn::worker
