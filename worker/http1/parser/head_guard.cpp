#include "worker/http1/parser/head_guard.h"

#include <bit>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pronghorn::worker {
namespace {

bool is_control_byte(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

#if defined(__SSE2__)
// One bit for each of 16 bytes.
std::uint32_t controls_of_block(const char* at) noexcept {
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
  const __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_or_si128(control, del)));
}
#endif

enum class Visited { one, line_end, stop };  // line_end: the visitor has handled CR and the LF after it

// Calls `visit` with the position of each control character at or after `position`, in order, until it returns stop.
template <class Visit>
void for_each_control(std::string_view bytes, std::size_t position, Visit&& visit) noexcept {
#if defined(__SSE2__)
  // The control characters of a block, of which the lowest bit stands for `at`. False: stop.
  const auto visit_all = [&visit](std::uint32_t mask, std::size_t at) {
    for (; mask != 0; mask &= mask - 1) {
      const Visited visited = visit(at + static_cast<std::size_t>(std::countr_zero(mask)));
      if (visited == Visited::stop) return false;
      if (visited == Visited::line_end) mask &= mask - 1;  // skip the LF, unless it is in the next block
    }
    return true;
  };
  for (; position + 16 <= bytes.size(); position += 16) {
    if (!visit_all(controls_of_block(bytes.data() + position), position)) return;
  }
  if (bytes.size() >= 16) {  // the rest, in a block that overlaps the last one
    const std::size_t start = bytes.size() - 16;
    visit_all(controls_of_block(bytes.data() + start) >> (position - start), position);
    return;
  }
#endif
  for (; position < bytes.size(); ++position) {
    if (is_control_byte(bytes[position]) && visit(position) == Visited::stop) return;
  }
}

}  // namespace

HeadScan scan_head(std::string_view bytes, std::size_t from, std::size_t first_line) noexcept {
  HeadScan scan{HeadScan::State::incomplete, bytes.size(), first_line};
  const char* const at = bytes.data();
  const auto stop = [&scan](HeadScan::State state, std::size_t position) {
    scan.state = state;
    scan.position = position;
    return Visited::stop;
  };
  for_each_control(bytes, from, [&](std::size_t i) {
    if (at[i] != '\r') {
      const bool allowed = at[i] == '\t' || (at[i] == '\n' && i > from && at[i - 1] == '\r');
      return allowed ? Visited::one : stop(HeadScan::State::malformed, i);
    }
    // The scan continues at the CR when more bytes have arrived.
    if (i + 1 >= bytes.size()) return stop(HeadScan::State::incomplete, i);
    if (at[i + 1] != '\n') return stop(HeadScan::State::malformed, i);
    if (scan.first_line == std::string_view::npos) scan.first_line = i;
    if (i + 2 >= bytes.size()) return stop(HeadScan::State::incomplete, i);
    if (at[i + 2] == ' ' || at[i + 2] == '\t') return stop(HeadScan::State::malformed, i);  // obsolete line folding
    if (at[i + 2] != '\r') return Visited::line_end;
    if (i + 3 >= bytes.size()) return stop(HeadScan::State::incomplete, i);
    return at[i + 3] == '\n' ? stop(HeadScan::State::complete, i + 4) : stop(HeadScan::State::malformed, i);
  });
  return scan;
}

}  // namespace pronghorn::worker
