// Media types: of files by their names, and which are worth compressing.
#pragma once

#include <string_view>

namespace pronghorn::worker {

// The value of Content-Type for a file of that name, by its extension; text has its charset, UTF-8.
// application/octet-stream for an unknown one. A literal.
[[nodiscard]] std::string_view content_type_of(std::string_view path) noexcept;

// Whether content of that type (parameters do not matter) usually shrinks: text, JSON, XML, scripts, fonts and images
// that are not compressed by their own format.
[[nodiscard]] bool is_compressible(std::string_view content_type) noexcept;

}  // namespace pronghorn::worker
