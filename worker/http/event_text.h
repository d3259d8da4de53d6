// Server-sent events as the text that clients read.
#pragma once

#include <string>

#include "pronghorn/events.h"

namespace pronghorn::worker {

// A comment, which clients ignore.
inline constexpr std::string_view kEventComment = ":\n\n";

// Throws what EventWriter::send() throws.
[[nodiscard]] std::string event_text(const ServerSentEvent& event);

}  // namespace pronghorn::worker
