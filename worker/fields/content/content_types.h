// Media types: which one a file has, and which ones are worth compressing.
#pragma once

#include <string_view>

namespace pronghorn::worker {

// Returns the Content-Type for the file `path`, by its extension. Text types say charset=utf-8. An unknown extension is
// application/octet-stream. The result is a string literal.
[[nodiscard]] std::string_view content_type_of(std::string_view path) noexcept;

// Whether content of this type usually becomes smaller: text, JSON, XML, scripts, and fonts and images whose format
// does not compress. Parameters are ignored.
[[nodiscard]] bool is_compressible(std::string_view content_type) noexcept;

}  // namespace pronghorn::worker
