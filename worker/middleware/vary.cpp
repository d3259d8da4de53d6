#include "worker/middleware/vary.h"

#include <string>

#include "worker/fields/text.h"
#include "worker/http/response_access.h"

namespace pronghorn::worker {

void add_vary(Response& response, std::string_view name) {
  constexpr std::string_view kVary = "vary:";
  std::string all;  // of several fields
  std::string_view fields = ResponseAccess::fields(response);
  while (!fields.empty()) {
    const std::string_view line = take_until(fields, '\n');
    if (!equal_ignoring_case(line.substr(0, kVary.size()), kVary)) continue;
    std::string_view names = line.substr(kVary.size(), line.size() - kVary.size() - 1);  // without CR
    while (!names.empty()) {
      const std::string_view known = take_until(names, ',');
      if (known == "*" || equal_ignoring_case(known, name)) return;
      if (!known.empty()) all.append(known).append(", ");
    }
  }
  response.set("Vary", all.append(name));
}

}  // namespace pronghorn::worker
