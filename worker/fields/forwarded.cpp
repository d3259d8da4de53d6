#include "worker/fields/forwarded.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "worker/fields/characters.h"
#include "worker/fields/host.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

bool is_escaped(std::string_view text, std::size_t at) noexcept {
  std::size_t backslashes = 0;
  while (backslashes < at && text[at - 1 - backslashes] == '\\') ++backslashes;
  return backslashes % 2 == 1;
}

// Whether list elements may contain quoted strings, in which a comma separates nothing. Those of X-Forwarded-* may not.
enum class Quoting : bool { none, strings };

// Removes the last element from a list and returns it.
//
// The list is scanned from its end, which the proxy wrote: a quotation mark that a client left open ends at the comma
// that the proxy appended, and hides nothing behind it.
std::string_view take_last(std::string_view& list, Quoting quoting) noexcept {
  bool quoted = false;
  std::size_t begin = list.size();
  for (; begin > 0; --begin) {
    const char c = list[begin - 1];
    if (c == ',' && !quoted) break;
    if (c == '"' && quoting == Quoting::strings && !is_escaped(list, begin - 1)) quoted = !quoted;
  }
  const std::string_view element = trim_blanks(list.substr(begin));
  list = list.substr(0, begin == 0 ? 0 : begin - 1);
  return element;
}

// Iterates over the list elements of all fields with one name (RFC 9110 section 5.3), the last one first.
class FromTheRight {
 public:
  FromTheRight(const RequestHead& head, std::string_view name, Quoting quoting) noexcept
      : head_(head), name_(name), quoting_(quoting), field_(head.field_count) {}

  // Skips empty elements (RFC 9110 section 5.6.1.2).
  std::optional<std::string_view> next() noexcept {
    while (true) {
      while (rest_.empty()) {
        if (field_ == 0) return std::nullopt;
        --field_;
        if (equal_ignoring_case(head_.fields[field_].name, name_)) rest_ = head_.fields[field_].value;
      }
      const std::string_view element = take_last(rest_, quoting_);
      if (!element.empty()) return element;
    }
  }

 private:
  const RequestHead& head_;
  std::string_view name_;
  Quoting quoting_;
  std::size_t field_;
  std::string_view rest_;
};

// --- Nodes (RFC 7239 section 6) -------------------------------------------------------------------------------------

bool is_obfuscated(std::string_view text) noexcept {
  return text.size() > 1 && text.front() == '_' && std::all_of(text.begin() + 1, text.end(), [](char c) {
           return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
         });
}

// An obfuscated port is 0, "unknown".
std::optional<std::uint16_t> read_port(std::string_view text) noexcept {
  if (is_obfuscated(text)) return 0;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.size() > 5 || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::optional<std::string> read_name(std::string_view text, bool bracketed) {
  if (!bracketed && equal_ignoring_case(text, "unknown")) return "unknown";
  if (!bracketed && is_obfuscated(text)) return std::string(text);
  const bool has_colon = text.find(':') != std::string_view::npos;
  if (has_colon != bracketed || text.find('%') != std::string_view::npos) return std::nullopt;
  const auto address = parse_ip_address(text);
  if (!address) return std::nullopt;
  return to_string(*address);
}

// "192.0.2.7", "192.0.2.7:80", "[2001:db8::7]", "[2001:db8::7]:80", "unknown", "_hidden"
std::optional<Client> read_node(std::string_view text) {
  const bool bracketed = text.starts_with('[');
  const std::size_t end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && end == std::string_view::npos) return std::nullopt;
  auto name = bracketed ? read_name(text.substr(1, end - 1), true) : read_name(text.substr(0, end), false);
  if (!name) return std::nullopt;
  std::string_view rest = end == std::string_view::npos ? std::string_view{} : text.substr(bracketed ? end + 1 : end);
  if (rest.empty()) return Client{std::move(*name), 0};
  if (rest.front() != ':') return std::nullopt;
  const auto port = read_port(rest.substr(1));
  if (!port) return std::nullopt;
  return Client{std::move(*name), *port};
}

// Empty for any other scheme.
std::string_view read_scheme(std::string_view text) noexcept {
  if (equal_ignoring_case(text, "https")) return "https";
  return equal_ignoring_case(text, "http") ? "http" : std::string_view{};
}

// --- Forwarded (RFC 7239 section 4) ---------------------------------------------------------------------------------

struct Element {
  std::optional<std::string> by, node, scheme, host;  // as written, without quotes
};

std::string_view take_token(std::string_view& text) noexcept {
  std::size_t size = 0;
  while (size < text.size() && is_token(text.substr(size, 1))) ++size;
  const std::string_view token = text.substr(0, size);
  text.remove_prefix(size);
  return token;
}

// Removes a quoted-string (RFC 9110 section 5.6.4) from the front of `text`. Returns its content; nullopt if not
// closed.
std::optional<std::string> take_quoted(std::string_view& text) {
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return value;
    }
    if (text[i] == '\\' && ++i == text.size()) break;
    value += text[i];
  }
  return std::nullopt;
}

// Removes a pair (name "=" value, without whitespace) from the front of `text`. False if malformed.
bool take_pair(std::string_view& text, Element& element) {
  const std::string_view name = take_token(text);
  if (name.empty() || !text.starts_with('=')) return false;
  text.remove_prefix(1);
  std::optional<std::string> value = text.starts_with('"') ? take_quoted(text) : std::string(take_token(text));
  if (!value || value->empty()) return false;
  const std::pair<std::string_view, std::optional<std::string>*> known[] = {
      {"by", &element.by}, {"for", &element.node}, {"proto", &element.scheme}, {"host", &element.host}};
  for (const auto& [parameter, place] : known) {
    if (!equal_ignoring_case(name, parameter)) continue;
    if (place->has_value()) return false;  // must not be repeated
    *place = std::move(value);
    break;
  }
  return true;
}

std::optional<Element> parse_element(std::string_view text) {
  Element element;
  while (true) {
    text = trim_blanks(text);
    if (!text.empty() && text.front() != ';' && !take_pair(text, element)) return std::nullopt;
    text = trim_blanks(text);
    if (text.empty()) return element;
    if (text.front() != ';') return std::nullopt;
    text.remove_prefix(1);
  }
}

Forwarding read_forwarded(const RequestHead& head, const Networks& trusted) {
  Forwarding result;
  FromTheRight elements(head, "forwarded", Quoting::strings);
  while (const auto text = elements.next()) {
    auto element = parse_element(*text);
    if (!element) break;
    auto client = element->node ? read_node(*element->node) : std::nullopt;
    if (element->node && !client) break;
    if (element->host && !is_host(*element->host)) break;
    result.scheme = read_scheme(element->scheme.value_or(""));
    result.host = std::move(element->host).value_or("");
    if (!client) break;  // this proxy does not say who its client is
    result.client = std::move(*client);
    if (!trusted.contains(result.client.address)) break;
  }
  return result;
}

// --- X-Forwarded-* --------------------------------------------------------------------------------------------------

// Like a node of Forwarded, except that an IPv6 address needs no brackets.
std::optional<Client> read_plain_node(std::string_view text) {
  if (!text.starts_with('[') && std::count(text.begin(), text.end(), ':') > 1) {
    auto name = read_name(text, true);
    if (!name) return std::nullopt;
    return Client{std::move(*name), 0};
  }
  return read_node(text);
}

// The element of list `name` at `depth` from the right, counted from 1; the leftmost element if the list is shorter.
std::string_view said_by(const RequestHead& head, std::string_view name, std::size_t depth) noexcept {
  FromTheRight elements(head, name, Quoting::none);
  std::string_view value;
  for (; depth > 0; --depth) {
    const auto element = elements.next();
    if (!element) break;
    value = *element;
  }
  return value;
}

Forwarding read_x_forwarded(const RequestHead& head, const Networks& trusted) {
  Forwarding result;
  std::size_t believed = 0;
  FromTheRight elements(head, "x-forwarded-for", Quoting::none);
  while (const auto text = elements.next()) {
    auto client = read_plain_node(*text);
    if (!client) break;
    ++believed;
    result.client = std::move(*client);
    if (!trusted.contains(result.client.address)) break;
  }
  const std::size_t depth = std::max<std::size_t>(believed, 1);
  result.scheme = read_scheme(said_by(head, "x-forwarded-proto", depth));
  const std::string_view host = said_by(head, "x-forwarded-host", depth);
  if (is_host(host)) result.host = host;
  return result;
}

}  // namespace

Forwarding read_forwarding(const RequestHead& head, const Networks& trusted, ForwardingFields believed) {
  bool has_forwarded = false;
  bool has_x_forwarded = false;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const std::string_view name = head.fields[i].name;
    has_forwarded |= equal_ignoring_case(name, "forwarded");
    has_x_forwarded |= equal_ignoring_case(name, "x-forwarded-for") || equal_ignoring_case(name, "x-forwarded-proto") ||
                       equal_ignoring_case(name, "x-forwarded-host");
  }
  if (has_forwarded && has_x_forwarded) return {.both_families = true};
  if (believed == ForwardingFields::forwarded) return read_forwarded(head, trusted);
  return read_x_forwarded(head, trusted);
}

}  // namespace pronghorn::worker
