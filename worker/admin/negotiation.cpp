#include "worker/admin/negotiation.h"

#include <array>
#include <cstddef>

#include "worker/fields/content/quality.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

// The weight of one media type: that of the most specific range that includes it.
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
  std::array<std::string_view, 3> ranges_;  // most specific last
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
    const int weight = take_quality(range);
    html.consider(type, weight);
    json.consider(type, weight);
  }
  return html.value() > json.value();
}

}  // namespace pronghorn::worker
