#include "worker/fields/content/content_coding.h"

#include <array>
#include <cstddef>

#include "worker/fields/content/quality.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kCodings = 4;
constexpr int kNotNamed = -1;

// The weight that the client gives to each coding, in thousandths.
struct Weights {
  std::array<int, kCodings> named{kNotNamed, kNotNamed, kNotNamed, kNotNamed};
  int others = kNotNamed;  // "*"

  void read(std::string_view list) noexcept {
    while (!list.empty()) {
      std::string_view item = take_until(list, ',');
      const std::string_view name = take_until(item, ';');
      const int weight = take_quality(item);
      if (name == "*") others = weight;
      for (std::size_t i = 0; i < kCodings; ++i) {
        if (equal_ignoring_case(name, name_of(static_cast<ContentCoding>(i)))) named[i] = weight;
      }
      if (equal_ignoring_case(name, "x-gzip")) named[static_cast<std::size_t>(ContentCoding::gzip)] = weight;
    }
  }
  // A coding that is neither named nor covered by "*" is not acceptable. Identity is, but as the last choice: see
  // choose_coding().
  [[nodiscard]] int of(ContentCoding coding) const noexcept {
    const int weight = named[static_cast<std::size_t>(coding)];
    if (weight != kNotNamed) return weight;
    return others != kNotNamed ? others : 0;
  }
};

}  // namespace

std::string_view name_of(ContentCoding coding) noexcept {
  constexpr std::array<std::string_view, kCodings> kNames{"identity", "br", "zstd", "gzip"};
  return kNames[static_cast<std::size_t>(coding)];
}

ContentCoding choose_coding(const RequestHead& head, std::span<const ContentCoding> offered) noexcept {
  Weights weights;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (equal_ignoring_case(head.fields[i].name, "accept-encoding")) weights.read(head.fields[i].value);
  }
  ContentCoding best = ContentCoding::identity;
  int best_weight = 0;
  for (const ContentCoding coding : offered) {
    if (weights.of(coding) > best_weight) {
      best = coding;
      best_weight = weights.of(coding);
    }
  }
  const bool prefers_identity = weights.named[0] != kNotNamed && weights.named[0] > best_weight;
  return prefers_identity ? ContentCoding::identity : best;
}

}  // namespace pronghorn::worker
