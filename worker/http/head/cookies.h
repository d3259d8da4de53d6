// Cookies of a request (RFC 6265 section 5.4).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "pronghorn/request.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {

// Calls visit(value) for each cookie of that name, in the order of the fields, until it returns false. Quotation marks
// around the value are removed.
template <class Visit>
void for_each_cookie(std::span<const Request::Header> fields, std::string_view name, Visit visit) {
  for (const Request::Header& field : fields) {
    if (!equal_ignoring_case(field.name, "cookie")) continue;
    std::string_view pairs = field.value;
    while (!pairs.empty()) {
      const std::size_t end = pairs.find(';');
      const std::string_view pair = trim_blanks(pairs.substr(0, end));
      const std::size_t equals = pair.find('=');
      if (equals != std::string_view::npos && trim_blanks(pair.substr(0, equals)) == name) {
        std::string_view value = trim_blanks(pair.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        if (!visit(value)) return;
      }
      pairs = end == std::string_view::npos ? std::string_view{} : pairs.substr(end + 1);
    }
  }
}

}  // namespace pronghorn::worker
