// Commands as the bytes that Redis reads (RESP2).
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// Appends one command: an array of bulk strings, binary-safe. `words` must not be empty.
void append_command(std::string& output, std::span<const std::string_view> words);

}  // namespace pronghorn::worker
