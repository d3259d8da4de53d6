#include "worker/http/head_parser.h"

#include <llhttp.h>

#include <utility>

#include "worker/http/syntax.h"

namespace pronghorn::worker {
namespace {

// What the callbacks of llhttp fill. They are called once per element, because llhttp never gets a part of one.
struct Parse {
  RequestHead& head;
  std::size_t max_fields;
  bool too_many = false;
  bool complete = false;
};

constexpr std::uint32_t bit_of(KnownHeader header) noexcept { return 1U << static_cast<unsigned>(header); }
// Every field that frames the message or names its host stands once.
constexpr std::uint32_t kSingle = bit_of(KnownHeader::host) | bit_of(KnownHeader::content_length) |
                                  bit_of(KnownHeader::transfer_encoding) | bit_of(KnownHeader::content_type);

Parse& parse_of(llhttp_t* parser) noexcept { return *static_cast<Parse*>(parser->data); }

void remember_known(RequestHead& head, std::string_view name, std::size_t index, KnownHeader header,
                    std::string_view wanted) noexcept {
  if (!equal_ignoring_case(name, wanted)) return;
  auto& known = head.known[static_cast<std::size_t>(header)];
  if (known >= 0) {
    head.repeated |= bit_of(header);
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

int on_url(llhttp_t* parser, const char* at, std::size_t length) noexcept {
  parse_of(parser).head.target = {at, length};
  return 0;
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
    made.on_url = on_url;
    made.on_header_field = on_header_field;
    made.on_header_value = on_header_value;
    made.on_headers_complete = on_headers_complete;
    return made;
  }();
  return callbacks;
}

constexpr std::size_t kVersionSize = std::string_view("HTTP/1.1").size();

bool is_version(std::string_view text) noexcept {
  return text.size() == kVersionSize && text.starts_with("HTTP/") && text[5] >= '0' && text[5] <= '9' &&
         text[6] == '.' && text[7] >= '0' && text[7] <= '9';
}

// Three parts with one blank between them and a known version. What the method may be is llhttp's to say.
Refusal check_request_line(std::string_view line, RequestHead& head) noexcept {
  const std::size_t blank = line.find(' ');
  if (blank == std::string_view::npos || line.size() < blank + 3 + kVersionSize ||
      line[line.size() - kVersionSize - 1] != ' ') {
    return {400, "malformed request line"};
  }
  const std::string_view version = line.substr(line.size() - kVersionSize);
  if (!is_version(version)) return {400, "malformed request line"};
  if (version[5] != '1') return {505, "HTTP/1.1 and HTTP/1.0 are spoken here"};
  head.minor_version = version[7] == '0' ? 0 : 1;
  head.method = line.substr(0, blank);
  if (!is_target_text(line.substr(blank + 1, line.size() - kVersionSize - 2 - blank))) {
    return {400, "malformed request target"};
  }
  return {};
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

// origin-form, absolute-form, or "*" for OPTIONS (RFC 9112 section 3.2).
Refusal split_target(RequestHead& head) noexcept {
  std::string_view rest = head.target;
  if (rest == "*") {
    if (head.method != "OPTIONS") return {400, "the target * is for OPTIONS"};
    head.path = rest;
    return {};
  }
  if (rest.front() != '/') {
    const std::size_t scheme = rest.find("://");
    if (scheme == std::string_view::npos || (!equal_ignoring_case(rest.substr(0, scheme), "http") &&
                                             !equal_ignoring_case(rest.substr(0, scheme), "https"))) {
      return {400, "malformed request target"};
    }
    rest.remove_prefix(scheme + 3);
    const std::size_t end = rest.find_first_of("/?");
    head.authority = rest.substr(0, end);
    if (head.authority.empty() || !is_host(head.authority)) return {400, "malformed authority in the request target"};
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end);
  }
  const std::size_t question = rest.find('?');
  head.path = rest.substr(0, question);
  if (question != std::string_view::npos) head.query = rest.substr(question + 1);
  if (head.path.empty()) head.path = "/";
  return {};
}

bool has(const RequestHead& head, KnownHeader header) noexcept {
  return head.known[static_cast<std::size_t>(header)] >= 0;
}

Refusal check_host(const RequestHead& head) noexcept {
  if (!has(head, KnownHeader::host)) {
    if (head.minor_version >= 1) return {400, "the Host field is missing"};
    return {};
  }
  if (!is_host(head.value(KnownHeader::host))) return {400, "malformed Host"};
  return {};
}

Refusal read_content_length(RequestHead& head) noexcept {
  const std::string_view text = head.value(KnownHeader::content_length);
  if (text.empty() || text.size() > 18) return {400, "malformed Content-Length"};
  std::uint64_t length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {400, "malformed Content-Length"};
    length = length * 10 + static_cast<std::uint64_t>(c - '0');
  }
  head.content_length = length;
  return {};
}

// RFC 9112 section 6.1: chunked must be the last coding, once, and we speak no other.
Refusal read_transfer_encoding(RequestHead& head) noexcept {
  if (head.minor_version == 0) return {400, "Transfer-Encoding in HTTP/1.0"};
  const std::string_view text = head.value(KnownHeader::transfer_encoding);
  if (equal_ignoring_case(text, "chunked")) {
    head.chunked = true;
    return {};
  }
  const std::size_t comma = text.rfind(',');
  const std::string_view last = comma == std::string_view::npos ? text : trim_blanks(text.substr(comma + 1));
  if (!equal_ignoring_case(last, "chunked")) return {400, "chunked must be the last transfer coding"};
  std::string_view others = text.substr(0, comma);
  while (true) {
    const std::size_t end = others.find(',');
    const std::string_view coding = trim_blanks(others.substr(0, end));
    if (coding.empty() || equal_ignoring_case(coding, "chunked")) return {400, "malformed Transfer-Encoding"};
    if (end == std::string_view::npos) return {501, "transfer coding not implemented"};
    others.remove_prefix(end + 1);
  }
}

void read_connection(RequestHead& head) noexcept {
  head.keep_alive = head.minor_version >= 1;
  if (!has(head, KnownHeader::connection)) return;
  const bool several = (head.repeated & bit_of(KnownHeader::connection)) != 0;
  const auto first = static_cast<std::size_t>(head.known[static_cast<std::size_t>(KnownHeader::connection)]);
  const std::size_t end_of_fields = several ? head.field_count : first + 1;
  for (std::size_t i = first; i < end_of_fields; ++i) {
    if (!equal_ignoring_case(head.fields[i].name, "connection")) continue;
    std::string_view options = head.fields[i].value;
    while (!options.empty()) {
      const std::size_t end = options.find(',');
      const std::string_view option = trim_blanks(options.substr(0, end));
      if (equal_ignoring_case(option, "close")) {
        head.keep_alive = false;
        return;
      }
      if (equal_ignoring_case(option, "keep-alive")) head.keep_alive = true;
      options = end == std::string_view::npos ? std::string_view{} : options.substr(end + 1);
    }
  }
}

Refusal read_expect(RequestHead& head) noexcept {
  if (head.minor_version == 0 || !has(head, KnownHeader::expect)) return {};
  if ((head.repeated & bit_of(KnownHeader::expect)) != 0 ||
      !equal_ignoring_case(head.value(KnownHeader::expect), "100-continue")) {
    return {417, "the only expectation met here is 100-continue"};
  }
  head.expect_continue = true;
  return {};
}

Refusal check_framing(RequestHead& head) noexcept {
  if (const Refusal refusal = check_host(head); refusal.status != 0) return refusal;
  const bool has_length = has(head, KnownHeader::content_length);
  const bool has_coding = has(head, KnownHeader::transfer_encoding);
  if (has_length && has_coding) return {400, "Content-Length together with Transfer-Encoding"};
  if (has_length) {
    if (const Refusal refusal = read_content_length(head); refusal.status != 0) return refusal;
  }
  if (has_coding) {
    if (const Refusal refusal = read_transfer_encoding(head); refusal.status != 0) return refusal;
  }
  return {};
}

bool names_are_tokens(const RequestHead& head) noexcept {
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (!is_token(head.fields[i].name)) return false;
  }
  return true;
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
  const std::size_t max_fields = limits.max_header_fields == 0 || limits.max_header_fields > kMaxHeaderFields
                                     ? kMaxHeaderFields
                                     : limits.max_header_fields;
  Parse parse{head, max_fields};
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings());
  parser.data = &parse;
  const llhttp_errno_t error = execute(parser, bytes, first_line);
  if (parse.too_many) return {431, "too many header fields", LimitHit::header_fields};
  // After on_headers_complete llhttp may still object to what frames the body; check_framing() says it better.
  if (!parse.complete) return refusal_of(error, head);
  return {};
}

}  // namespace

bool is_known_method(std::string_view method) noexcept {
#define PRONGHORN_IS_METHOD(number, name, text) \
  if (method == #text) return true;
  HTTP_METHOD_MAP(PRONGHORN_IS_METHOD)
#undef PRONGHORN_IS_METHOD
  return false;
}

Refusal parse_head(std::string_view bytes, const HttpLimits& limits, RequestHead& head) {
  head.clear();
  const std::size_t first_line = bytes.find('\r');
  if (limits.max_request_line != 0 && first_line > limits.max_request_line) {
    return {414, "request line too long", LimitHit::request_line};
  }
  if (limits.max_header_bytes != 0 && bytes.size() - first_line > limits.max_header_bytes) {
    return {431, "header fields too large", LimitHit::header_bytes};
  }
  if (Refusal refusal = check_request_line(bytes.substr(0, first_line), head); refusal.status != 0) return refusal;
  if (Refusal refusal = run_llhttp(bytes, first_line, limits, head); refusal.status != 0) return refusal;
  if (head.method == "CONNECT") return {501, "method not implemented"};
  if (!names_are_tokens(head)) return {400, "malformed header field"};
  if (Refusal refusal = split_target(head); refusal.status != 0) return refusal;
  if ((head.repeated & kSingle) != 0) return {400, "a field that may stand only once is repeated"};
  if (Refusal refusal = check_framing(head); refusal.status != 0) return refusal;
  read_connection(head);
  return read_expect(head);
}

}  // namespace pronghorn::worker
