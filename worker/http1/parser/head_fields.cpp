#include "worker/http1/parser/head_fields.h"

#include <llhttp.h>

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "worker/fields/characters.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

// What the callbacks of llhttp fill. They are called once per element, because llhttp never gets a part of one.
struct Parse {
  RequestHead& head;
  std::size_t max_fields;
  bool too_many = false;
  bool complete = false;
};

Parse& parse_of(llhttp_t* parser) noexcept { return *static_cast<Parse*>(parser->data); }

void remember_known(RequestHead& head, std::string_view name, std::size_t index, KnownHeader header,
                    std::string_view wanted) noexcept {
  if (!equal_ignoring_case(name, wanted)) return;
  auto& known = head.known[static_cast<std::size_t>(header)];
  if (known >= 0) {
    head.repeated |= RequestHead::bit_of(header);
  } else {
    known = static_cast<std::int16_t>(index);
  }
}

void note_known_header(RequestHead& head, std::string_view name, std::size_t index) noexcept {
  switch (name.size()) {
    case 4:
      return remember_known(head, name, index, KnownHeader::host, "host");
    case 6:
      if (lower(name[0]) == 'c') return remember_known(head, name, index, KnownHeader::cookie, "cookie");
      return remember_known(head, name, index, KnownHeader::expect, "expect");
    case 10:
      return remember_known(head, name, index, KnownHeader::connection, "connection");
    case 12:
      return remember_known(head, name, index, KnownHeader::content_type, "content-type");
    case 14:
      return remember_known(head, name, index, KnownHeader::content_length, "content-length");
    case 17:
      return remember_known(head, name, index, KnownHeader::transfer_encoding, "transfer-encoding");
    default:
      return;
  }
}

int on_header_field(llhttp_t* parser, const char* at, std::size_t length) noexcept {
  Parse& parse = parse_of(parser);
  if (parse.head.field_count >= parse.max_fields) {
    parse.too_many = true;
    return -1;
  }
  parse.head.fields[parse.head.field_count] = {{at, length}, {}};
  note_known_header(parse.head, {at, length}, parse.head.field_count);
  ++parse.head.field_count;
  return 0;
}

int on_header_value(llhttp_t* parser, const char* at, std::size_t length) noexcept {
  Parse& parse = parse_of(parser);
  parse.head.fields[parse.head.field_count - 1].value = trim_blanks({at, length});
  return 0;
}

int on_headers_complete(llhttp_t* parser) noexcept {
  parse_of(parser).complete = true;
  return 1;  // no body as far as llhttp is concerned: bodies are framed by us
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

Refusal refusal_of(llhttp_errno_t error, const RequestHead& head) noexcept {
  switch (error) {
    case HPE_INVALID_METHOD:
      if (!is_token(head.method)) return {400, "malformed method"};
      return {501, "method not implemented"};
    case HPE_INVALID_CONSTANT:  // a method of RTSP, which llhttp knows too
      if (head.field_count == 0) return {501, "method not implemented"};
      return {400, "malformed header field"};
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
      return {400, "malformed Content-Length"};
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

// HTTP/1.2 and later are answered as 1.1 (RFC 9110 section 2.5). llhttp refuses them, so it gets a 1 for the minor
// version, the last byte of the request line.
llhttp_errno_t execute(llhttp_t& parser, std::string_view bytes, std::size_t first_line) noexcept {
  const std::size_t minor = first_line - 1;
  if (bytes[minor] <= '1') return llhttp_execute(&parser, bytes.data(), bytes.size());
  llhttp_errno_t error = llhttp_execute(&parser, bytes.data(), minor);
  if (error == HPE_OK) error = llhttp_execute(&parser, "1", 1);
  if (error == HPE_OK) error = llhttp_execute(&parser, bytes.data() + first_line, bytes.size() - first_line);
  return error;
}

Refusal run_llhttp(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                   RequestHead& head) noexcept {
  Parse parse{head, max_fields_of(limits)};
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings());
  parser.data = &parse;
  const llhttp_errno_t error = execute(parser, bytes, first_line);
  if (parse.too_many) return {431, "too many header fields", Count::limit_header_fields};
  // After on_headers_complete llhttp may still object to what frames the body; check_framing() says it better.
  if (!parse.complete) return refusal_of(error, head);
  return {};
}

// Where a token that begins at `at` ends; at `end` at the latest.
const char* end_of_token(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
  // Sixteen at once of what nearly all names are made of: letters, digits and '-'. Other bytes of a token follow below.
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

// What most requests are: a method that everybody knows, and lines with a name, a colon and a value. No body, so
// nothing here can be framed in two ways. False for anything else, which llhttp reads then: `head` holds parts of it.
//
// This is for speed: llhttp looks at each byte in a state machine, and the guard has looked already.
bool split_bodiless(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                    RequestHead& head) noexcept {
  if (head.method != "GET" && head.method != "HEAD" && head.method != "DELETE" && head.method != "OPTIONS") {
    return false;
  }
  const std::size_t max_fields = max_fields_of(limits);
  const char* at = bytes.data() + first_line + 2;
  const char* const end = bytes.data() + bytes.size() - 2;  // where the empty line begins
  while (at != end) {
    if (head.field_count == max_fields) return false;
    const char* const name = at;
    at = end_of_token(name, end);
    if (at == name || *at != ':') return false;
    const std::string_view name_text(name, static_cast<std::size_t>(at - name));
    const char* const value = ++at;
    at = static_cast<const char*>(std::memchr(value, '\r', static_cast<std::size_t>(end - value)));
    head.fields[head.field_count] = {name_text, trim_blanks({value, static_cast<std::size_t>(at - value)})};
    note_known_header(head, name_text, head.field_count);
    ++head.field_count;
    at += 2;
  }
  return !head.has(KnownHeader::content_length) && !head.has(KnownHeader::transfer_encoding);
}

}  // namespace

Refusal read_fields_by_llhttp(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                              RequestHead& head) {
  head.clear_fields();
  if (const Refusal refusal = run_llhttp(bytes, first_line, limits, head); refusal.status != 0) return refusal;
  if (head.method == "CONNECT") return {501, "method not implemented"};
  if (!names_are_tokens(head)) return {400, "malformed header field"};
  return {};
}

Refusal read_fields(std::string_view bytes, std::size_t first_line, const HttpLimits& limits, RequestHead& head) {
  if (split_bodiless(bytes, first_line, limits, head)) return {};
  return read_fields_by_llhttp(bytes, first_line, limits, head);
}

bool is_known_method(std::string_view method) noexcept {
#define PRONGHORN_IS_METHOD(number, name, text) \
  if (method == #text) return true;
  HTTP_METHOD_MAP(PRONGHORN_IS_METHOD)
#undef PRONGHORN_IS_METHOD
  return false;
}

}  // namespace pronghorn::worker
