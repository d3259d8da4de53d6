#include "worker/admin/accept.h"

#include <array>
#include <cstddef>

#include "worker/http/syntax.h"

namespace pronghorn::worker {
namespace {

// What stands before the next `separator`, which is taken off `text` together with it.
std::string_view take_until(std::string_view& text, char separator) noexcept {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return trim_blanks(part);
}

// "0.85" is 850. Anything malformed is 0.
int quality(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  if (text.size() > 1 && text[1] != '.') return 0;
  int value = 0;
  for (std::size_t i = 2; i < 5; ++i) {
    const char digit = i < text.size() ? text[i] : '0';
    if (digit < '0' || digit > '9') return 0;
    value = value * 10 + (digit - '0');
  }
  return text[0] == '1' ? 1000 : value;
}

// The weight of one media type: that of the most specific range that names it.
class Weight {
 public:
  constexpr Weight(std::string_view type, std::string_view any_subtype) noexcept : ranges_{"*/*", any_subtype, type} {}

  void consider(std::string_view range, int weight) noexcept {
    for (std::size_t i = specificity_; i < ranges_.size(); ++i) {
      if (!equal_ignoring_case(range, ranges_[i])) continue;
      specificity_ = i;
      value_ = weight;
    }
  }
  [[nodiscard]] int value() const noexcept { return value_; }

 private:
  std::array<std::string_view, 3> ranges_;  // the most specific last
  std::size_t specificity_ = 0;
  int value_ = 0;
};

}  // namespace

bool prefers_html(std::string_view accept) noexcept {
  Weight html("text/html", "text/*");
  Weight json("application/json", "application/*");
  while (!accept.empty()) {
    std::string_view range = take_until(accept, ',');
    const std::string_view type = take_until(range, ';');
    int weight = 1000;
    while (!range.empty()) {
      std::string_view parameter = take_until(range, ';');
      const std::string_view name = take_until(parameter, '=');
      if (equal_ignoring_case(name, "q")) weight = quality(trim_blanks(parameter));
    }
    html.consider(type, weight);
    json.consider(type, weight);
  }
  return html.value() > json.value();
}

}  // namespace pronghorn::worker
