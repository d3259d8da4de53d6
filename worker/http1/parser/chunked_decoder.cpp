#include "worker/http1/parser/chunked_decoder.h"

#include <algorithm>

#include "worker/fields/characters.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint8_t kMaxSizeDigits = 15;  // sizes stay below 2^60, so that no sum of them overflows

bool is_token_char(char c) noexcept { return is_token({&c, 1}); }

// HTAB, SP, VCHAR and obs-text.
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
      data_ += size;
      if (left_ == 0) expect_ = Expect::data_cr;
      return {State::data, used + size, input.substr(used, size)};
    }
    const std::size_t start = used;
    const bool trailers = in_trailers();
    do {
      if (!take(input[used])) return {State::malformed, used, {}};
      if (overhead_ > kMaxOverhead + data_ || trailers_ > kMaxTrailers) return {State::too_large, used, {}};
      ++used;
    } while (trailers && in_trailers() && used < input.size());
    // The CR of the empty line that ends the section belongs to no trailer.
    if (trailers && (in_trailers() || used - start > 1)) {
      return {State::trailers, used, input.substr(start, used - start)};
    }
  }
}

// Takes one byte of anything but chunk data. False if it is malformed.
bool ChunkedDecoder::take(char c) noexcept {
  switch (expect_) {
    case Expect::size:
      return take_size(c);
    case Expect::size_lf:
      expect_ = left_ == 0 ? Expect::trailer_start : Expect::data;
      return c == '\n';
    case Expect::data_cr:
      expect_ = Expect::data_lf;
      return c == '\r';
    case Expect::data_lf:
      expect_ = Expect::size;
      has_size_ = false;
      digits_ = 0;
      return c == '\n';
    case Expect::trailer_start:
    case Expect::trailer_name:
    case Expect::trailer_value:
    case Expect::trailer_lf:
      return take_trailer(c);
    case Expect::end_lf:
      expect_ = Expect::done;
      return c == '\n';
    case Expect::data:
    case Expect::done:
      return false;
    default:
      ++overhead_;
      return take_extension(c);
  }
}

bool ChunkedDecoder::take_size(char c) noexcept {
  const int digit = hex_digit(c);
  if (digit < 0) return has_size_ && end_extension(c);
  has_size_ = true;
  if (digit == 0 && digits_ == 0) {
    ++overhead_;
    return true;
  }
  left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
  return ++digits_ <= kMaxSizeDigits;
}

// What may follow a size or an extension: the next extension, after optional blanks (BWS), or the end of the line.
bool ChunkedDecoder::end_extension(char c) noexcept {
  if (c == '\r') {
    expect_ = Expect::size_lf;
  } else if (c == ';') {
    expect_ = Expect::extension_name;
  } else {
    expect_ = Expect::extension;
    return is_blank(c);
  }
  return true;
}

// chunk-ext = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ). Blanks must not end the line.
bool ChunkedDecoder::take_extension(char c) noexcept {
  switch (expect_) {
    case Expect::extension:
      if (c == ';') expect_ = Expect::extension_name;
      return c == ';' || is_blank(c);
    case Expect::extension_name:
      if (is_blank(c)) return true;
      expect_ = Expect::extension_name_rest;
      return is_token_char(c);
    case Expect::extension_name_rest:
      if (is_token_char(c)) return true;
      if (is_blank(c)) {
        expect_ = Expect::extension_equals;
        return true;
      }
      [[fallthrough]];
    case Expect::extension_equals:
      if (c == '=') {
        expect_ = Expect::extension_value;
        return true;
      }
      if (expect_ == Expect::extension_equals && c != ';') return is_blank(c);
      return end_extension(c);
    case Expect::extension_value:
      if (is_blank(c)) return true;
      expect_ = c == '"' ? Expect::extension_quoted : Expect::extension_token;
      return c == '"' || is_token_char(c);
    case Expect::extension_token:
      return is_token_char(c) || end_extension(c);
    case Expect::extension_quoted:
      if (c == '"') expect_ = Expect::extension_quoted_end;
      if (c == '\\') expect_ = Expect::extension_quoted_pair;
      return is_text(c);
    case Expect::extension_quoted_pair:
      expect_ = Expect::extension_quoted;
      return is_text(c);
    default:  // extension_quoted_end
      return end_extension(c);
  }
}

// Trailers have the form of header fields (RFC 9112 section 5). Their whitespace is trimmed by whoever reads them.
bool ChunkedDecoder::take_trailer(char c) noexcept {
  ++trailers_;
  if (expect_ == Expect::trailer_lf) {
    expect_ = Expect::trailer_start;
    return c == '\n';
  }
  if (c == '\r') {
    const bool in_name = expect_ == Expect::trailer_name;
    expect_ = expect_ == Expect::trailer_start ? Expect::end_lf : Expect::trailer_lf;
    return !in_name;
  }
  if (expect_ == Expect::trailer_value) return is_text(c);
  if (c == ':') {
    const bool has_name = expect_ == Expect::trailer_name;
    expect_ = Expect::trailer_value;
    return has_name;
  }
  expect_ = Expect::trailer_name;
  return is_token_char(c);
}

}  // namespace pronghorn::worker
