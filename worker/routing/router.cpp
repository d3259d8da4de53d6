#include "worker/routing/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "worker/exchange/running.h"
#include "worker/fields/characters.h"
#include "worker/fields/percent_encoding.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {

namespace {

[[noreturn]] void refuse(std::string_view pattern, std::string_view why) {
  throw std::invalid_argument(fmt::format("route \"{}\": {}", pattern, why));
}

// The methods of RFC 9110 section 9 and PATCH (RFC 5789).
constexpr std::string_view kStandardMethods[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                                 "CONNECT", "OPTIONS", "TRACE", "PATCH"};

void check_method(std::string_view method, std::string_view pattern) {
  if (!is_token(method) || method == "CONNECT" || method.size() > kMaxRunningMethod) {
    throw std::invalid_argument(
        fmt::format("route \"{} {}\": \"{}\" is not a method that can be routed", method, pattern, method));
  }
  for (const std::string_view standard : kStandardMethods) {
    if (method == standard || !equal_ignoring_case(method, standard)) continue;
    throw std::invalid_argument(
        fmt::format("route \"{} {}\": methods are case-sensitive; use \"{}\"", method, pattern, standard));
  }
}

bool is_name(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// Neither encoded bytes nor a dot: nothing to decode and no dot segment to find.
bool is_plain_path(std::string_view path) noexcept {
  bool plain = true;
  for (const char c : path) plain &= c != '%' && c != '.';
  return plain;
}

// One pass over the decoded bytes: false for a malformed encoding, NUL, or a dot segment.
bool is_safe_path(std::string_view path, bool plain) noexcept {
  if (path.empty() || path.front() != '/') return false;
  if (plain) return true;
  std::size_t length = 0;  // of the current segment
  std::size_t dots = 0;    // in it
  const auto is_dot_segment = [&] { return dots == length && (length == 1 || length == 2); };
  for (std::size_t i = 0; i < path.size(); ++i) {
    char c = path[i];
    if (c == '%') {
      if (path.size() - i < 3) return false;
      const int high = hex_digit(path[i + 1]);
      const int low = hex_digit(path[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      if (c == '\0') return false;
      i += 2;
    }
    if (c == '/') {
      if (is_dot_segment()) return false;
      length = dots = 0;
    } else {
      ++length;
      dots += c == '.' ? 1 : 0;
    }
  }
  return !is_dot_segment();
}

// The text of a segment without its encoding. The view lives until the next call.
std::string_view decoded(std::string_view segment) {
  if (segment.find('%') == std::string_view::npos) return segment;
  thread_local std::string buffer;  // keeps its memory
  buffer.clear();
  return percent_decode(segment, buffer, false) ? std::string_view(buffer) : segment;
}

struct PatternSegment {
  enum class Kind { literal, parameter, rest };
  Kind kind;
  std::string_view text;  // the literal, or the name
};

PatternSegment parse_segment(std::string_view pattern, std::string_view segment, bool last) {
  if (segment.find_first_of("{}") == std::string_view::npos) {
    if (segment.empty() && !last) refuse(pattern, "an empty segment (\"//\") never matches");
    if (segment == "." || segment == "..") refuse(pattern, "\".\" and \"..\" never match");
    return {PatternSegment::Kind::literal, segment};
  }
  if (segment.front() != '{' || segment.back() != '}') {
    refuse(pattern, fmt::format("\"{}\": a {{name}} has to be a whole segment", segment));
  }
  std::string_view name = segment.substr(1, segment.size() - 2);
  const bool rest = name.ends_with("...");
  if (rest) name.remove_suffix(3);
  if (!is_name(name)) {
    refuse(pattern, fmt::format("\"{}\": the name of a parameter is made of letters, digits and '_'", segment));
  }
  if (rest && !last) refuse(pattern, fmt::format("\"{}\" has to be the last segment", segment));
  return {rest ? PatternSegment::Kind::rest : PatternSegment::Kind::parameter, name};
}

std::vector<PatternSegment> parse_pattern(std::string_view pattern) {
  if (pattern.empty() || pattern.front() != '/') refuse(pattern, "a path begins with '/'");
  for (const char c : pattern) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) refuse(pattern, "it has a control character");
    if (c == '?' || c == '#') refuse(pattern, "a path has no query and no fragment: leave out '?' and '#'");
    if (c == '%') refuse(pattern, "write the path decoded, without '%'");
  }
  std::vector<PatternSegment> segments;
  std::string_view left = pattern.substr(1);
  for (;;) {
    const std::size_t slash = left.find('/');
    const bool last = slash == std::string_view::npos;
    segments.push_back(parse_segment(pattern, left.substr(0, slash), last));
    if (last) return segments;
    left.remove_prefix(slash + 1);
  }
}

}  // namespace

bool patterns_overlap(std::string_view one, std::string_view other) {
  using Kind = PatternSegment::Kind;
  const std::vector<PatternSegment> a = parse_pattern(one);
  const std::vector<PatternSegment> b = parse_pattern(other);
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i].kind == Kind::rest || b[i].kind == Kind::rest) return true;
    const bool literals = a[i].kind == Kind::literal && b[i].kind == Kind::literal;
    if (literals && a[i].text != b[i].text) return false;
    if (!literals && (a[i].text.empty() || b[i].text.empty())) return false;  // a parameter is not empty
  }
  return a.size() == b.size();
}

bool has_prefix(std::string_view path, std::string_view prefix, std::array<RouteMatch::Param, kMaxRouteParams>& params,
                std::size_t& param_count) {
  param_count = 0;
  while (!prefix.empty()) {
    if (path.empty()) return false;
    const std::size_t end = std::min(prefix.find('/', 1), prefix.size());
    const std::string_view wanted = prefix.substr(1, end - 1);
    prefix.remove_prefix(end);
    const std::size_t path_end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(1, path_end - 1);
    path.remove_prefix(path_end);
    if (!wanted.starts_with('{')) {
      if (decoded(segment) != wanted) return false;
    } else if (segment.empty() || param_count == params.size()) {
      return false;
    } else {
      params[param_count++] = {wanted.substr(1, wanted.size() - 2), segment};
    }
  }
  return true;
}

void Router::add_endpoint(std::vector<Endpoint>& endpoints, Endpoint endpoint) {
  for (const Endpoint& other : endpoints) {
    if (other.method != endpoint.method) continue;
    const std::string exists =
        other.pattern == endpoint.pattern ? "exists" : fmt::format("exists as \"{}\"", other.pattern);
    throw std::invalid_argument(fmt::format("route \"{} {}\" already {}", endpoint.method, endpoint.pattern, exists));
  }
  endpoints.push_back(std::move(endpoint));
}

void Router::add(std::string_view method, std::string_view pattern, std::uint32_t route) {
  check_method(method, pattern);
  Endpoint endpoint{std::string(method), std::string(pattern), route, {}};
  Node* node = &root_;
  bool rest = false;
  for (const PatternSegment& segment : parse_pattern(pattern)) {
    if (segment.kind == PatternSegment::Kind::literal) {
      auto& child = node->literals[std::string(segment.text)];
      if (!child) child = std::make_unique<Node>();
      node = child.get();
      continue;
    }
    if (std::find(endpoint.params.begin(), endpoint.params.end(), segment.text) != endpoint.params.end()) {
      refuse(pattern, fmt::format("the name {{{}}} is used twice", segment.text));
    }
    if (endpoint.params.size() == kMaxRouteParams) {
      refuse(pattern, fmt::format("more than {} parameters", kMaxRouteParams));
    }
    endpoint.params.emplace_back(segment.text);
    if (segment.kind == PatternSegment::Kind::rest) {
      rest = true;
    } else {
      if (!node->parameter) node->parameter = std::make_unique<Node>();
      node = node->parameter.get();
    }
  }
  add_endpoint(rest ? node->rest : node->endpoints, std::move(endpoint));
  if (std::find(methods_.begin(), methods_.end(), method) == methods_.end()) methods_.emplace_back(method);
}

// What one search looks for and has found. Without a method it collects those of every route that has the path.
struct Router::Search {
  std::string_view method;
  RouteMatch::Param* params;          // their values are set on the way
  bool encoded;                       // the path may have a '%'
  std::size_t value_count = 0;        // of the endpoint that was found
  const Endpoint* of_path = nullptr;  // the first one, whatever its method
  std::vector<std::string_view>* methods = nullptr;

  const Endpoint* choose(const std::vector<Endpoint>& endpoints, std::size_t count) {
    if (endpoints.empty()) return nullptr;
    if (of_path == nullptr) of_path = &endpoints.front();
    if (methods) {
      for (const Endpoint& endpoint : endpoints) methods->push_back(endpoint.method);
      return nullptr;
    }
    const Endpoint* chosen = with_method(endpoints, method);
    if (!chosen && method == "HEAD") chosen = with_method(endpoints, "GET");
    if (chosen) value_count = count;
    return chosen;
  }

  static const Endpoint* with_method(const std::vector<Endpoint>& endpoints, std::string_view wanted) {
    for (const Endpoint& endpoint : endpoints) {
      if (endpoint.method == wanted) return &endpoint;
    }
    return nullptr;
  }
};

// `rest` is what follows the slash that led to `node`. Visits each node at most once, so a path cannot make it slow.
const Router::Endpoint* Router::search(const Node& node, std::string_view rest, Search& state,
                                       std::size_t param_count) {
  const std::size_t slash = rest.find('/');
  const std::string_view segment = rest.substr(0, slash);
  const auto descend = [&](const Node& child, std::size_t count) -> const Endpoint* {
    if (slash == std::string_view::npos) return state.choose(child.endpoints, count);
    return search(child, rest.substr(slash + 1), state, count);
  };
  if (!node.literals.empty()) {
    if (const auto child = node.literals.find(state.encoded ? decoded(segment) : segment);
        child != node.literals.end()) {
      if (const Endpoint* found = descend(*child->second, param_count)) return found;
    }
  }
  if (node.parameter && !segment.empty()) {
    state.params[param_count].second = segment;
    if (const Endpoint* found = descend(*node.parameter, param_count + 1)) return found;
  }
  if (!node.rest.empty()) {
    state.params[param_count].second = rest;
    return state.choose(node.rest, param_count + 1);
  }
  return nullptr;
}

RouteMatch Router::find(std::string_view method, std::string_view path,
                        std::array<RouteMatch::Param, kMaxRouteParams>& params) const {
  const bool plain = is_plain_path(path);
  if (!is_safe_path(path, plain)) return {RouteMatch::Kind::malformed, UINT32_MAX, 0};
  Search state{.method = method, .params = params.data(), .encoded = !plain};
  const Endpoint* const found = search(root_, path.substr(1), state, 0);
  if (!found && state.of_path == nullptr) return {};
  if (!found) {  // again, because the search may have set the parameters of other routes since
    RouteMatch other = find(state.of_path->method, path, params);
    other.kind = RouteMatch::Kind::no_method;
    return other;
  }
  for (std::size_t i = 0; i < state.value_count; ++i) params[i].first = found->params[i];
  return {RouteMatch::Kind::found, found->route, state.value_count};
}

bool Router::knows_method(std::string_view method) const noexcept {
  return std::find(std::begin(kStandardMethods), std::end(kStandardMethods), method) != std::end(kStandardMethods) ||
         std::find(methods_.begin(), methods_.end(), method) != methods_.end();
}

std::string Router::allowed_methods(std::string_view path, std::string_view except) const {
  std::vector<std::string_view> methods;
  if (path == "*") {
    methods.assign(methods_.begin(), methods_.end());
  } else if (const bool plain = is_plain_path(path); is_safe_path(path, plain)) {
    std::array<RouteMatch::Param, kMaxRouteParams> params;
    Search state{.method = {}, .params = params.data(), .encoded = !plain, .methods = &methods};
    search(root_, path.substr(1), state, 0);
  }
  if (methods.empty()) return {};
  if (std::find(methods.begin(), methods.end(), "GET") != methods.end()) methods.emplace_back("HEAD");
  methods.emplace_back("OPTIONS");
  std::sort(methods.begin(), methods.end());
  methods.erase(std::unique(methods.begin(), methods.end()), methods.end());
  if (except == "HEAD") except = "GET";
  std::erase_if(methods, [except](auto method) { return method == except || (method == "HEAD" && except == "GET"); });
  return fmt::format("{}", fmt::join(methods, ", "));
}

}  // namespace pronghorn::worker
