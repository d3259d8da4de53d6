#include "worker/http1/parser/chunked_decoder.h"

#include <algorithm>

#include "worker/fields/characters.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint32_t kMaxSizeDigits = 15;  // below 2^60: no sum of ours can overflow

bool is_text(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view input) noexcept {
  std::size_t used = 0;
  while (true) {
    if (expect_ == Expect::done) return {State::done, used, {}};
    if (used == input.size()) return {State::needs_more, used, {}};
    if (expect_ == Expect::data) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - used));
      left_ -= size;
      if (left_ == 0) expect_ = Expect::data_cr;
      return {State::data, used + size, input.substr(used, size)};
    }
    const std::size_t start = used;
    const bool trailers = in_trailers();
    do {
      if (!take(input[used])) return {State::malformed, used, {}};
      ++used;
    } while (trailers && in_trailers() && used < input.size());
    // The CR of the empty line that ends the section is not worth telling.
    if (trailers && (in_trailers() || used - start > 1))
      return {State::trailers, used, input.substr(start, used - start)};
  }
}

// One byte of anything but chunk data. False: malformed.
bool ChunkedDecoder::take(char c) noexcept {
  switch (expect_) {
    case Expect::size:
      return take_size_digit(c);
    case Expect::extension:
      if (c == '\r') {
        expect_ = Expect::size_lf;
        return true;
      }
      return is_text(c) && ++line_ <= kMaxLine;
    case Expect::size_lf:
      expect_ = left_ == 0 ? Expect::trailer_start : Expect::data;
      line_ = 0;
      return c == '\n';
    case Expect::data_cr:
      expect_ = Expect::data_lf;
      return c == '\r';
    case Expect::data_lf:
      expect_ = Expect::size;
      digits_ = 0;
      return c == '\n';
    case Expect::trailer_start:
      expect_ = c == '\r' ? Expect::end_lf : Expect::trailer_name;
      return c == '\r' || (is_token({&c, 1}) && ++line_ <= kMaxTrailers);
    case Expect::trailer_name:
      if (c == ':') expect_ = Expect::trailer;
      return (c == ':' || is_token({&c, 1})) && ++line_ <= kMaxTrailers;
    case Expect::trailer:
      if (c == '\r') {
        expect_ = Expect::trailer_lf;
        return true;
      }
      return is_text(c) && ++line_ <= kMaxTrailers;
    case Expect::trailer_lf:
      expect_ = Expect::trailer_start;
      return c == '\n';
    case Expect::end_lf:
      expect_ = Expect::done;
      return c == '\n';
    case Expect::data:
    case Expect::done:
      break;
  }
  return false;
}

bool ChunkedDecoder::take_size_digit(char c) noexcept {
  if (c == '\r' || c == ';') {
    expect_ = c == '\r' ? Expect::size_lf : Expect::extension;
    return digits_ > 0;
  }
  const char letter = lower(c);
  std::uint64_t digit = 0;
  if (c >= '0' && c <= '9') {
    digit = static_cast<std::uint64_t>(c - '0');
  } else if (letter >= 'a' && letter <= 'f') {
    digit = static_cast<std::uint64_t>(letter - 'a') + 10;
  } else {
    return false;
  }
  left_ = left_ * 16 + digit;
  return ++digits_ <= kMaxSizeDigits;
}

}  // namespace pronghorn::worker
