#include "worker/http1/parser/head_fields.h"

#include <llhttp.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "worker/fields/characters.h"
#include "worker/fields/known_header.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

// What the callbacks of llhttp fill. Each is called once per element, because llhttp gets all field lines at once.
struct Parse {
  RequestHead& head;
  std::size_t max_fields;
  const char* fed;       // the field lines that llhttp parses
  const char* received;  // the same lines in the head, into which the views point
  bool too_many = false;
  bool complete = false;

  [[nodiscard]] std::string_view view(const char* at, std::size_t length) const noexcept {
    return {received + (at - fed), length};
  }
};

Parse& parse_of(llhttp_t* parser) noexcept { return *static_cast<Parse*>(parser->data); }

void append_field(RequestHead& head, std::string_view name, std::string_view value) noexcept {
  head.fields[head.field_count] = {name, value};
  note_known_header(head, name, head.field_count);
  ++head.field_count;
}

int on_header_field(llhttp_t* parser, const char* at, std::size_t length) noexcept {
  Parse& parse = parse_of(parser);
  if (parse.head.field_count >= parse.max_fields) {
    parse.too_many = true;
    return -1;
  }
  append_field(parse.head, parse.view(at, length), {});
  return 0;
}

int on_header_value(llhttp_t* parser, const char* at, std::size_t length) noexcept {
  Parse& parse = parse_of(parser);
  parse.head.fields[parse.head.field_count - 1].value = trim_blanks(parse.view(at, length));
  return 0;
}

int on_headers_complete(llhttp_t* parser) noexcept {
  parse_of(parser).complete = true;
  return 1;  // tells llhttp that no body follows; the connection frames bodies itself
}

const llhttp_settings_t& settings() noexcept {
  static const llhttp_settings_t callbacks = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_header_field = on_header_field;
    made.on_header_value = on_header_value;
    made.on_headers_complete = on_headers_complete;
    return made;
  }();
  return callbacks;
}

Refusal refusal_of(llhttp_errno_t error) noexcept {
  switch (error) {
    case HPE_INVALID_CONTENT_LENGTH:
      return {400, "malformed Content-Length"};
    case HPE_UNEXPECTED_CONTENT_LENGTH:
      return {400, "Content-Length is repeated, or together with Transfer-Encoding"};
    case HPE_INVALID_TRANSFER_ENCODING:
      return {400, "malformed Transfer-Encoding"};
    default:
      return {400, "malformed header field"};
  }
}

bool names_are_tokens(const RequestHead& head) noexcept {
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (!is_token(head.fields[i].name)) return false;
  }
  return true;
}

std::size_t max_fields_of(const HttpLimits& limits) noexcept {
  return limits.max_header_fields == 0 || limits.max_header_fields > kMaxHeaderFields ? kMaxHeaderFields
                                                                                      : limits.max_header_fields;
}

// The request line is checked by parse_head(), so llhttp gets one of ours: it knows neither all methods nor HTTP/1.2.
// `lines` are the field lines with the empty line.
Refusal run_llhttp(std::string_view lines, const HttpLimits& limits, RequestHead& head) {
  constexpr std::string_view kRequestLine = "POST / HTTP/1.1\r\n";
  // After Content-Length llhttp accepts only SP, but whitespace is also HTAB (RFC 9110 section 5.6.3). As both are
  // legal in the same places, it gets SP for HTAB; what is read points into the original.
  std::string blanks;
  if (lines.find('\t') != std::string_view::npos) {
    blanks = lines;
    std::replace(blanks.begin(), blanks.end(), '\t', ' ');
  }
  const std::string_view fed = blanks.empty() ? lines : blanks;
  Parse parse{head, max_fields_of(limits), fed.data(), lines.data()};
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings());
  parser.data = &parse;
  llhttp_errno_t error = llhttp_execute(&parser, kRequestLine.data(), kRequestLine.size());
  if (error == HPE_OK) error = llhttp_execute(&parser, fed.data(), fed.size());
  if (parse.too_many) return {431, "too many header fields", Count::limit_header_fields};
  // After on_headers_complete llhttp may still object to what frames the body; check_framing() says it better.
  if (!parse.complete) return refusal_of(error);
  return {};
}

// Returns the end of the token that begins at `at`; at most `end`.
const char* end_of_token(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
  // Skips up to 16 letters, digits and '-' at once: nearly all names consist of them. The loop below takes the rest.
  if (end - at >= 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const auto between = [](__m128i bytes, char first, char last) {
      return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(static_cast<char>(first - 1))),
                           _mm_cmplt_epi8(bytes, _mm_set1_epi8(static_cast<char>(last + 1))));
    };
    const __m128i letter = between(_mm_or_si128(block, _mm_set1_epi8(0x20)), 'a', 'z');
    const __m128i other = _mm_or_si128(between(block, '0', '9'), _mm_cmpeq_epi8(block, _mm_set1_epi8('-')));
    at += std::countr_one(static_cast<std::uint16_t>(_mm_movemask_epi8(_mm_or_si128(letter, other))));
  }
#endif
  while (at != end && (character_class::kTable[static_cast<unsigned char>(*at)] & character_class::kToken) != 0) ++at;
  return at;
}

// A shortcut for most requests: a common method, well-formed field lines, and no body, so that nothing can be framed in
// two ways. False for all others; `head` then holds only a part of the fields, and llhttp must read it.
//
// It saves time because llhttp runs a state machine over every byte, after scan_head() has checked every byte already.
bool split_bodiless(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                    RequestHead& head) noexcept {
  if (head.method != "GET" && head.method != "HEAD" && head.method != "DELETE" && head.method != "OPTIONS") {
    return false;
  }
  const std::size_t max_fields = max_fields_of(limits);
  const char* at = bytes.data() + first_line + 2;
  const char* const end = bytes.data() + bytes.size() - 2;  // the empty line
  while (at != end) {
    if (head.field_count == max_fields) return false;
    const char* const name = at;
    at = end_of_token(name, end);
    if (at == name || *at != ':') return false;
    const std::string_view name_text(name, static_cast<std::size_t>(at - name));
    const char* const value = ++at;
    at = static_cast<const char*>(std::memchr(value, '\r', static_cast<std::size_t>(end - value)));
    append_field(head, name_text, trim_blanks({value, static_cast<std::size_t>(at - value)}));
    at += 2;
  }
  return !head.has(KnownHeader::content_length) && !head.has(KnownHeader::transfer_encoding);
}

}  // namespace

Refusal read_fields_by_llhttp(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                              RequestHead& head) {
  head.clear_fields();
  if (!is_token(head.method)) return {400, "malformed method"};
  if (head.method == "CONNECT") return {501, "CONNECT is not supported"};
  if (const Refusal refusal = run_llhttp(bytes.substr(first_line + 2), limits, head); refusal.status != 0) {
    return refusal;
  }
  if (!names_are_tokens(head)) return {400, "malformed header field"};
  return {};
}

Refusal read_fields(std::string_view bytes, std::size_t first_line, const HttpLimits& limits, RequestHead& head) {
  if (split_bodiless(bytes, first_line, limits, head)) return {};
  return read_fields_by_llhttp(bytes, first_line, limits, head);
}

}  // namespace pronghorn::worker
