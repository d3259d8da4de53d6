#include "worker/fields/content/entity_tags.h"

#include "worker/fields/text.h"

namespace pronghorn::worker {

bool list_has_tag(std::string_view list, std::string_view etag, bool weak_counts) noexcept {
  if (trim_blanks(list) == "*") return true;
  if (weak_counts && etag.starts_with("W/")) etag.remove_prefix(2);
  while (!list.empty()) {
    const std::size_t begin = list.find('"');
    if (begin == std::string_view::npos) return false;
    const std::size_t end = list.find('"', begin + 1);
    if (end == std::string_view::npos) return false;
    const bool weak = begin >= 2 && list.substr(begin - 2, 2) == "W/";
    if ((weak_counts || !weak) && list.substr(begin, end + 1 - begin) == etag) return true;
    list.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace pronghorn::worker
