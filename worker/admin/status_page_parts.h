// The pieces of the status page, each in the source file of its name.
#pragma once

#include <string_view>

namespace pronghorn::worker {

extern const std::string_view kPageStyle;    // style sheet
extern const std::string_view kPageBody;     // from the end of the <h1> on, without the end of the document
extern const std::string_view kPageColumns;  // script: formats, tables and cards
extern const std::string_view kPageScript;   // script: fills the body from the JSON; writes text with textContent alone

}  // namespace pronghorn::worker
