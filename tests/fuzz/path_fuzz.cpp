// The path of a request: the router, the quarantine's shape of it, and the name of a file. Input: a path.
#include <array>
#include <memory>

#include "framing/framing_cases.h"
#include "fuzz/fuzz_target.h"
#include "pronghorn/error.h"
#include "worker/files/folder.h"
#include "worker/routing/router.h"
#include "worker/state/quarantine/path_shape.h"

namespace pronghorn::fuzz::path {

namespace {

using worker::RouteMatch;

const worker::Router& router() {
  static const auto routes = [] {
    auto made = std::make_unique<worker::Router>();
    std::uint32_t number = 0;
    for (const char* pattern :
         {"/", "/hello", "/users/{id}", "/users/{id}/posts", "/{a}/{b}/{c}", "/files/{path...}", "/a/"}) {
      made->add("GET", pattern, number++);
    }
    made->add("QUERY", "/hello", number);
    return made;
  }();
  return *routes;
}

void check_route(std::string_view path) {
  std::array<RouteMatch::Param, worker::kMaxRouteParams> params;
  const RouteMatch match = router().find("GET", path, params);
  require(match.kind != RouteMatch::Kind::found || match.param_count <= params.size(), "parameters have room");
  if (match.kind == RouteMatch::Kind::found) {
    require(path.starts_with('/'), "a path that is routed begins with a slash");
    for (std::size_t i = 0; i < match.param_count; ++i) {
      require(is_within(params[i].second, path), "parameters are parts of the path");
      const bool rest = params[i].first == "path";
      require(rest || params[i].second.find('/') == std::string_view::npos, "a parameter is one segment");
    }
  }
  const std::string allowed = router().allowed_methods(path);
  const bool known = match.kind == RouteMatch::Kind::found || match.kind == RouteMatch::Kind::no_method;
  require(path == "*" || known == !allowed.empty(), "a path that is found has methods");
}

void check_shape(std::string_view path) {
  const std::string shape = worker::path_shape(path);
  require(shape.size() <= 3 * path.size() + 16, "a shape is at most three times as long");
  for (const char c : shape) require(c > ' ' && c < 0x7f, "a shape is visible");
}

void check_file_name(std::string_view path) {
  for (const bool dotfiles : {false, true}) {
    try {
      const std::string name = worker::relative_path(path, dotfiles);
      require(!name.starts_with('/') && !name.ends_with('/'), "a file's path is relative");
      require(name.find('\0') == std::string::npos, "a file's path has no NUL");
      for (std::string_view rest = name; !rest.empty();) {
        const std::size_t slash = rest.find('/');
        const std::string_view segment = rest.substr(0, slash);
        require(!segment.empty() && segment != "." && segment != "..", "no segment leads out");
        require(dotfiles || !segment.starts_with('.'), "dotfiles are hidden");
        rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
      }
    } catch (const HttpError& error) {
      require(error.status() == 400 || error.status() == 404, "a path is refused with 400 or 404");
    }
  }
}

}  // namespace

static void fuzz(std::string_view input) {
  const std::string path(input);
  check_route(path);
  check_shape(path);
  check_file_name(path);
}

static std::vector<std::string> seeds() {
  std::vector<std::string> paths;
  for (const test::FramingCases& cases : {test::target_cases(), test::odd_path_cases()}) {
    for (const test::FramingCase& test : cases) {
      const std::size_t begin = test.bytes.find(' ') + 1;
      paths.push_back(test.bytes.substr(begin, test.bytes.find(' ', begin) - begin));
    }
  }
  for (const char* path : {"/users/17", "/users/17/posts", "/a/b/c", "/files/a/b.css", "/files/", "/files/.git/config",
                           "/a/", "/users/550e8400-e29b-41d4-a716-446655440000", "/users/0123456789abcdef", "*", "/%",
                           "/%4", "/a%00b", "/users/%2e", "/users/a%2fb", "/\303\251", "/users/7Zk3-x9Qp_2Lm4Tt8"}) {
    paths.emplace_back(path);
  }
  return paths;
}

static const Registered kRegistered({"path", fuzz, seeds});

}  // namespace pronghorn::fuzz::path
