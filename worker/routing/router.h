// From a method and a path to a route: a trie of path segments.
//
// Patterns are plain text: "/users/{id}/posts", "/files/{path...}". A literal segment is preferred to "{name}", which
// is preferred to "{name...}"; when what is preferred has no route for the rest of the path or for the method, the next
// one is tried. A trailing slash is significant.
//
// Paths are compared segment by segment with their percent-encoding undone, so "/%75sers" is "/users", and "%2F" is
// never a separator. Refused: malformed encodings, NUL, and segments "." and ".." (after decoding, also between
// encoded slashes), because a handler may use the text as a path of its own.
//
// Context: filled at start, then read only, on one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "worker/exchange/exchange.h"

namespace pronghorn::worker {

struct RouteMatch {
  enum class Kind { found, no_path, no_method, malformed };
  using Param = std::pair<std::string_view, std::string_view>;  // name (of the router), raw value (of the path)

  Kind kind = Kind::no_path;
  std::uint32_t route = UINT32_MAX;  // no_method: one of the routes that the path has
  std::size_t param_count = 0;
};

// Whether a path may match both patterns, which are valid.
[[nodiscard]] bool patterns_overlap(std::string_view one, std::string_view other);

// Whether the first segments of `path`, which is well-formed, match `prefix`, that of a group. Sets the parameters that
// it has, and their number.
[[nodiscard]] bool has_prefix(std::string_view path, std::string_view prefix,
                              std::array<RouteMatch::Param, kMaxRouteParams>& params, std::size_t& param_count);

class Router {
 public:
  // Adds a route, which find() identifies by the number `route`. `method` is any token of up to 20 bytes except
  // CONNECT. Throws std::invalid_argument if the method or the pattern is invalid, or if there is already such a route.
  void add(std::string_view method, std::string_view pattern, std::uint32_t route);

  // Allocates nothing. If there is no HEAD route, finds the GET route for HEAD. `params` are those of the route; valid
  // only if the kind is found or no_method.
  [[nodiscard]] RouteMatch find(std::string_view method, std::string_view path,
                                std::array<RouteMatch::Param, kMaxRouteParams>& params) const;

  // Whether `method` is one of RFC 9110 or PATCH, or any route has it.
  [[nodiscard]] bool knows_method(std::string_view method) const noexcept;

  // The value of an Allow field: "GET, HEAD, OPTIONS". Empty when no route has that path. "*": of any path. `except` is
  // left out; GET and HEAD belong together.
  [[nodiscard]] std::string allowed_methods(std::string_view path, std::string_view except = {}) const;

 private:
  struct Endpoint {
    std::string method;
    std::string pattern;
    std::uint32_t route;
    std::vector<std::string> params;
  };
  // FNV-1a: segments are short. Nobody but the application puts anything into the tables.
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      std::uint64_t hash = 0xcbf29ce484222325U;
      for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
      return hash;
    }
  };
  struct Node {
    std::unordered_map<std::string, std::unique_ptr<Node>, TextHash, std::equal_to<>> literals;
    std::unique_ptr<Node> parameter;  // {name}
    std::vector<Endpoint> endpoints;  // of a path that ends here
    std::vector<Endpoint> rest;       // of {name...} here
  };
  struct Search;

  static void add_endpoint(std::vector<Endpoint>& endpoints, Endpoint endpoint);
  static const Endpoint* search(const Node& node, std::string_view rest, Search& state, std::size_t param_count);

  Node root_;
  std::vector<std::string> methods_;  // of all routes
};

}  // namespace pronghorn::worker
