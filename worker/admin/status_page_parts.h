// The pieces of the status page: what an editor would keep in three files.
#pragma once

#include <string_view>

namespace pronghorn::worker {

extern const std::string_view kPageStyle;   // style sheet
extern const std::string_view kPageBody;    // from <body> on, without its end
extern const std::string_view kPageScript;  // fills the body from the JSON; writes text with textContent alone

}  // namespace pronghorn::worker
