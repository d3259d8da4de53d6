// The Vary field of responses that depend on the request (RFC 9110 section 12.5.5).
#pragma once

#include <string_view>

#include "pronghorn/response.h"

namespace pronghorn::worker {

// Adds `name` to the response's Vary field unless it contains `name` or "*".
void add_vary(Response& response, std::string_view name);

}  // namespace pronghorn::worker
