#include "worker/http/head_guard.h"

#include <bit>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pronghorn::worker {
namespace {

bool is_special(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// The next control character at or after `position`; bytes.size() when there is none.
std::size_t next_special(std::string_view bytes, std::size_t position) noexcept {
#if defined(__SSE2__)
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; position + 16 <= bytes.size(); position += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + position));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block);
    const auto mask = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_or_si128(control, _mm_cmpeq_epi8(block, del))));
    if (mask != 0) return position + static_cast<std::size_t>(std::countr_zero(mask));
  }
#endif
  while (position < bytes.size() && !is_special(bytes[position])) ++position;
  return position;
}

}  // namespace

HeadScan scan_head(std::string_view bytes, std::size_t from, std::size_t first_line) noexcept {
  std::size_t position = from;
  while (true) {
    position = next_special(bytes, position);
    if (position >= bytes.size()) return {HeadScan::State::incomplete, position, first_line};
    if (bytes[position] == '\t') {
      ++position;
      continue;
    }
    if (bytes[position] != '\r') return {HeadScan::State::malformed, position, first_line};
    // The CR is scanned again when what follows has come.
    if (position + 1 >= bytes.size()) return {HeadScan::State::incomplete, position, first_line};
    if (bytes[position + 1] != '\n') return {HeadScan::State::malformed, position, first_line};
    if (first_line == std::string_view::npos) first_line = position;
    if (position + 2 >= bytes.size()) return {HeadScan::State::incomplete, position, first_line};
    if (bytes[position + 2] == ' ' || bytes[position + 2] == '\t') {  // obsolete line folding
      return {HeadScan::State::malformed, position, first_line};
    }
    if (bytes[position + 2] == '\r') {
      if (position + 3 >= bytes.size()) return {HeadScan::State::incomplete, position, first_line};
      if (bytes[position + 3] != '\n') return {HeadScan::State::malformed, position, first_line};
      return {HeadScan::State::complete, position + 4, first_line};
    }
    position += 2;
  }
}

}  // namespace pronghorn::worker
