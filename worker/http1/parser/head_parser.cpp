#include "worker/http1/parser/head_parser.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "worker/fields/characters.h"
#include "worker/fields/host.h"
#include "worker/fields/text.h"
#include "worker/http1/parser/head_fields.h"

namespace pronghorn::worker {
namespace {

// Fields that frame the message or name its host must not be repeated.
constexpr std::uint32_t kSingle =
    RequestHead::bit_of(KnownHeader::host) | RequestHead::bit_of(KnownHeader::content_length) |
    RequestHead::bit_of(KnownHeader::transfer_encoding) | RequestHead::bit_of(KnownHeader::content_type);

constexpr std::size_t kVersionSize = std::string_view("HTTP/1.1").size();

bool is_version(std::string_view text) noexcept {
  return text.size() == kVersionSize && text.starts_with("HTTP/") && text[5] >= '0' && text[5] <= '9' &&
         text[6] == '.' && text[7] >= '0' && text[7] <= '9';
}

// Checks the characters of the target, and notes in the same pass whether it has a query.
Refusal check_target_text(RequestHead& head) noexcept {
  std::uint8_t all = character_class::kTarget;
  std::uint8_t any = 0;
  for (const char c : head.target) {
    const std::uint8_t classes = character_class::kTable[static_cast<unsigned char>(c)];
    all &= classes;
    any |= classes;
  }
  if (all == 0 || head.target.empty()) return {400, "malformed request target"};
  head.has_query = (any & character_class::kQuestion) != 0;
  return {};
}

// method SP target SP version, with exactly one SP each. read_fields() checks the method.
Refusal check_request_line(std::string_view line, RequestHead& head) noexcept {
  const std::size_t blank = line.find(' ');
  if (blank == std::string_view::npos || line.size() < blank + 3 + kVersionSize ||
      line[line.size() - kVersionSize - 1] != ' ') {
    return {400, "malformed request line"};
  }
  const std::string_view version = line.substr(line.size() - kVersionSize);
  head.minor_version = 1;  // HTTP/1.2 and later, too (RFC 9110 section 2.5)
  if (version != "HTTP/1.1") [[unlikely]] {
    if (!is_version(version)) return {400, "malformed request line"};
    if (version[5] != '1') return {505, "only HTTP/1.0 and HTTP/1.1 are supported"};
    if (version[7] == '0') head.minor_version = 0;
  }
  head.method = line.substr(0, blank);
  head.target = line.substr(blank + 1, line.size() - kVersionSize - 2 - blank);
  return check_target_text(head);
}

// origin-form, absolute-form, or "*" for OPTIONS (RFC 9112 section 3.2).
Refusal split_target(RequestHead& head) noexcept {
  std::string_view rest = head.target;
  if (rest == "*") {
    if (head.method != "OPTIONS") return {400, "the target * is only valid for OPTIONS"};
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
  const std::size_t question = head.has_query ? rest.find('?') : std::string_view::npos;
  head.path = rest.substr(0, question);
  if (question != std::string_view::npos) head.query = rest.substr(question + 1);
  if (head.path.empty()) head.path = "/";
  return {};
}

// is_host(), with a memory: the clients of a server name few hosts.
bool is_usual_host(std::string_view host) noexcept {
  thread_local std::array<char, 64> last;
  thread_local std::size_t size = 0;  // of the last valid one
  if (host.size() == size && std::memcmp(host.data(), last.data(), size) == 0) [[likely]] {
    return true;
  }
  if (!is_host(host)) return false;
  if (host.size() <= last.size()) size = host.copy(last.data(), last.size());
  return true;
}

Refusal check_host(const RequestHead& head) noexcept {
  if (!head.has(KnownHeader::host)) {
    if (head.minor_version >= 1) return {400, "missing Host"};
    return {};
  }
  if (!is_usual_host(head.value(KnownHeader::host))) return {400, "malformed Host"};
  return {};
}

Refusal read_content_length(RequestHead& head) noexcept {
  std::string_view text = head.value(KnownHeader::content_length);
  if (text.empty()) return {400, "malformed Content-Length"};
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size() - 1));
  if (text.size() > 18) return {400, "malformed Content-Length"};  // below 2^60: no sum of lengths overflows
  std::uint64_t length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {400, "malformed Content-Length"};
    length = length * 10 + static_cast<std::uint64_t>(c - '0');
  }
  head.content_length = length;
  return {};
}

// chunked must be the last coding, and occur once (RFC 9112 section 6.1). No other coding is implemented.
Refusal read_transfer_encoding(RequestHead& head) noexcept {
  if (head.minor_version == 0) return {400, "Transfer-Encoding in an HTTP/1.0 request"};
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
  if (!head.has(KnownHeader::connection)) return;
  const bool several = (head.repeated & RequestHead::bit_of(KnownHeader::connection)) != 0;
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

// A list, which may be empty or have empty elements (RFC 9110 sections 5.6.1.2 and 10.1.1). Few requests have one.
[[gnu::noinline]] Refusal read_expectations(RequestHead& head) noexcept {
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (!equal_ignoring_case(head.fields[i].name, "expect")) continue;
    for (std::string_view list = head.fields[i].value; !list.empty();) {
      const std::string_view expected = take_until(list, ',');
      if (expected.empty()) continue;
      if (!equal_ignoring_case(expected, "100-continue")) {
        return {417, "the only supported expectation is 100-continue"};
      }
      head.expect_continue = true;
    }
  }
  return {};
}

Refusal read_expect(RequestHead& head) noexcept {
  if (head.minor_version == 0 || !head.has(KnownHeader::expect)) return {};
  return read_expectations(head);
}

Refusal check_framing(RequestHead& head) noexcept {
  if (const Refusal refusal = check_host(head); refusal.status != 0) return refusal;
  const bool has_length = head.has(KnownHeader::content_length);
  const bool has_coding = head.has(KnownHeader::transfer_encoding);
  if (has_length && has_coding) return {400, "Content-Length together with Transfer-Encoding"};
  if (has_length) {
    if (const Refusal refusal = read_content_length(head); refusal.status != 0) return refusal;
  }
  if (has_coding) {
    if (const Refusal refusal = read_transfer_encoding(head); refusal.status != 0) return refusal;
  }
  return {};
}

}  // namespace

// flatten: check_head() shares these functions, so the compiler would call them; most are shorter than a call.
[[gnu::flatten]] Refusal parse_head(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                                    RequestHead& head) {
  head.clear();
  if (limits.max_request_line != 0 && first_line > limits.max_request_line) {
    return {414, "request line too long", Count::limit_request_line};
  }
  if (limits.max_header_bytes != 0 && bytes.size() - first_line > limits.max_header_bytes) {
    return {431, "header fields too large", Count::limit_header_bytes};
  }
  if (Refusal refusal = check_request_line(bytes.substr(0, first_line), head); refusal.status != 0) return refusal;
  if (Refusal refusal = read_fields(bytes, first_line, limits, head); refusal.status != 0) return refusal;
  if (Refusal refusal = split_target(head); refusal.status != 0) return refusal;
  if ((head.repeated & kSingle) != 0) return {400, "a field that must not be repeated is repeated"};
  if (Refusal refusal = check_framing(head); refusal.status != 0) return refusal;
  read_connection(head);
  return read_expect(head);
}

Refusal check_head(RequestHead& head) {
  if (!is_token(head.method)) return {400, "malformed method"};
  if (const Refusal refusal = check_target_text(head); refusal.status != 0) return refusal;
  if (const Refusal refusal = split_target(head); refusal.status != 0) return refusal;
  if ((head.repeated & kSingle) != 0) return {400, "a field that must not be repeated is repeated"};
  if (const Refusal refusal = check_framing(head); refusal.status != 0) return refusal;
  return read_expect(head);
}

}  // namespace pronghorn::worker
