#include "worker/routing/router.h"

#include <string>
#include <vector>

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

// "3 id=7 name=x": the route and its parameters; "404", "405 GET, HEAD, OPTIONS", "400".
std::string look_up(const Router& router, std::string_view method, std::string_view path) {
  std::array<RouteMatch::Param, pronghorn::worker::kMaxRouteParams> params;
  const RouteMatch match = router.find(method, path, params);
  switch (match.kind) {
    case RouteMatch::Kind::malformed:
      return "400";
    case RouteMatch::Kind::no_path:
      return "404";
    case RouteMatch::Kind::no_method:
      return "405 " + router.allowed_methods(path);
    case RouteMatch::Kind::found:
      break;
  }
  std::string text = std::to_string(match.route);
  for (std::size_t i = 0; i < match.param_count; ++i) {
    text += " " + std::string(params[i].first) + "=" + std::string(params[i].second);
  }
  return text;
}

struct Case {
  const char* method;
  const char* path;
  const char* expected;
};

void check_all(const Router& router, const std::vector<Case>& cases) {
  for (const auto& [method, path, expected] : cases) {
    INFO(method << " " << path);
    CHECK(look_up(router, method, path) == expected);
  }
}

std::string refusal(std::string_view method, const std::string& pattern, std::string_view before = "/there/{id}") {
  Router router;
  router.add("GET", before, 0);
  try {
    router.add(method, pattern, 1);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a literal segment wins over a parameter, which wins over the rest of the path", "[router]") {
  Router router;
  router.add("GET", "/", 0);
  router.add("GET", "/users", 1);
  router.add("GET", "/users/{id}", 2);
  router.add("GET", "/users/me", 3);
  router.add("GET", "/users/{id}/posts/{post}", 4);
  router.add("GET", "/users/{rest...}", 5);
  router.add("GET", "/users/me/posts/{post}", 6);
  check_all(router, {
                        {"GET", "/", "0"},
                        {"GET", "/users", "1"},
                        {"GET", "/users/7", "2 id=7"},
                        {"GET", "/users/me", "3"},
                        {"GET", "/users/men", "2 id=men"},
                        {"GET", "/users/7/posts/9", "4 id=7 post=9"},
                        {"GET", "/users/me/posts/9", "6 post=9"},
                        {"GET", "/users/7/likes", "5 rest=7/likes"},
                        {"GET", "/users/me/likes", "5 rest=me/likes"},
                        {"GET", "/users/", "5 rest="},
                        {"GET", "/user", "404"},
                        {"GET", "/USERS", "404"},
                    });
}

TEST_CASE("patterns overlap if a path may match both", "[router]") {
  const std::pair<const char*, const char*> overlapping[] = {
      {"/", "/"},           {"/a/b", "/a/b"},        {"/a/{x}", "/a/b"},    {"/{x}/b", "/a/{y}"},
      {"/a/{x...}", "/a/"}, {"/a/{x...}", "/a/b/c"}, {"/{x...}", "/a/{y}/"}};
  for (const auto& [one, other] : overlapping) {
    CAPTURE(one, other);
    CHECK(patterns_overlap(one, other));
    CHECK(patterns_overlap(other, one));
  }
  const std::pair<const char*, const char*> apart[] = {{"/a", "/b"},           {"/a", "/a/"},
                                                       {"/a/{x}", "/a/"},      {"/a/{x}", "/b/{x}"},
                                                       {"/a/{x}", "/a/{x}/c"}, {"/a", "/a/{x...}"}};
  for (const auto& [one, other] : apart) {
    CAPTURE(one, other);
    CHECK_FALSE(patterns_overlap(one, other));
    CHECK_FALSE(patterns_overlap(other, one));
  }
}

TEST_CASE("a trailing slash is significant", "[router]") {
  Router router;
  router.add("GET", "/a", 0);
  router.add("GET", "/b/", 1);
  router.add("GET", "/c/{x}", 2);
  router.add("GET", "/d/{x}/", 3);
  check_all(router, {
                        {"GET", "/a", "0"},
                        {"GET", "/a/", "404"},
                        {"GET", "/b", "404"},
                        {"GET", "/b/", "1"},
                        {"GET", "/c/", "404"},  // a parameter is never empty
                        {"GET", "/c/1/", "404"},
                        {"GET", "/d/1", "404"},
                        {"GET", "/d/1/", "3 x=1"},
                        {"GET", "//", "404"},
                        {"GET", "/a//", "404"},
                    });
}

TEST_CASE("the rest of the path may be empty and may hold slashes", "[router]") {
  Router router;
  router.add("GET", "/files/{path...}", 0);
  router.add("GET", "/{all...}", 1);
  check_all(router, {
                        {"GET", "/files/", "0 path="},
                        {"GET", "/files/a", "0 path=a"},
                        {"GET", "/files/a/b//c/", "0 path=a/b//c/"},
                        {"GET", "/files", "1 all=files"},
                        {"GET", "/", "1 all="},
                    });
}

TEST_CASE("another method on a known path gets 405 with the allowed methods", "[router]") {
  Router router;
  router.add("GET", "/a", 0);
  router.add("POST", "/a", 1);
  router.add("DELETE", "/b", 2);
  router.add("OPTIONS", "/b", 3);
  router.add("PURGE", "/c/{x}", 4);
  check_all(router, {
                        {"POST", "/a", "1"},
                        {"HEAD", "/a", "0"},
                        {"PUT", "/a", "405 GET, HEAD, OPTIONS, POST"},
                        {"OPTIONS", "/a", "405 GET, HEAD, OPTIONS, POST"},
                        {"HEAD", "/b", "405 DELETE, OPTIONS"},
                        {"OPTIONS", "/b", "3"},
                        {"PURGE", "/c/1", "4 x=1"},
                        {"get", "/a", "405 GET, HEAD, OPTIONS, POST"},
                    });
  CHECK(router.allowed_methods("*") == "DELETE, GET, HEAD, OPTIONS, POST, PURGE");
  CHECK(router.allowed_methods("/none").empty());
}

TEST_CASE("a HEAD route of its own is preferred to the GET route", "[router]") {
  Router router;
  router.add("GET", "/a", 0);
  router.add("HEAD", "/a", 1);
  check_all(router, {{"HEAD", "/a", "1"}, {"GET", "/a", "0"}});
}

TEST_CASE("a less specific route answers when the more specific one lacks the method", "[router]") {
  Router router;
  router.add("POST", "/login", 0);
  router.add("GET", "/{page...}", 1);
  router.add("DELETE", "/{id}", 2);
  check_all(router, {
                        {"POST", "/login", "0"},
                        {"GET", "/login", "1 page=login"},
                        {"DELETE", "/login", "2 id=login"},
                        {"PUT", "/login", "405 DELETE, GET, HEAD, OPTIONS, POST"},
                    });
}

TEST_CASE("a literal is found however the client has encoded it, and a slash never comes out of an encoding",
          "[router]") {
  Router router;
  router.add("GET", "/users/{id}", 0);
  router.add("GET", "/a b/~x", 1);
  router.add("GET", "/é", 2);
  check_all(router, {
                        {"GET", "/%75sers/7", "0 id=7"},
                        {"GET", "/%75%73%65%72%73/%37", "0 id=%37"},
                        {"GET", "/users/a%2Fb", "0 id=a%2Fb"},
                        {"GET", "/users%2F7", "404"},
                        {"GET", "/a%20b/%7ex", "1"},
                        {"GET", "/a%20b/%7Ex", "1"},
                        {"GET", "/a+b/~x", "404"},
                        {"GET", "/%c3%a9", "2"},
                        {"GET", "/%C3%A9", "2"},
                        {"GET", "/%2575sers/7", "404"},
                    });
}

TEST_CASE("malformed encodings and dot segments are refused, however they are written", "[router]") {
  Router router;
  router.add("GET", "/{all...}", 0);
  check_all(router, {
                        {"GET", "/%", "400"},
                        {"GET", "/a%2", "400"},
                        {"GET", "/%zz", "400"},
                        {"GET", "/%-1", "400"},
                        {"GET", "/%00", "400"},
                        {"GET", "/a%00b", "400"},
                        {"GET", "/.", "400"},
                        {"GET", "/..", "400"},
                        {"GET", "/../", "400"},
                        {"GET", "/a/./b", "400"},
                        {"GET", "/a/../b", "400"},
                        {"GET", "/a/%2e%2E/b", "400"},
                        {"GET", "/a/.%2e", "400"},
                        {"GET", "/a%2f..%2fb", "400"},
                        {"GET", "/..%2fb", "400"},
                        {"GET", "/b%2f.", "400"},
                        {"GET", "", "400"},
                        {"GET", "a", "400"},
                        {"GET", "/...", "0 all=..."},
                        {"GET", "/.hidden", "0 all=.hidden"},
                        {"GET", "/a..", "0 all=a.."},
                        {"GET", "/..a/b.", "0 all=..a/b."},
                        {"GET", "/%252e%252e/", "0 all=%252e%252e/"},
                    });
}

TEST_CASE("invalid or duplicate routes are refused with the reason", "[router]") {
  CHECK(refusal("GET", "users") == "route \"users\": a path begins with '/'");
  CHECK(refusal("GET", "") == "route \"\": a path begins with '/'");
  CHECK(refusal("GET", "/a//b") == "route \"/a//b\": an empty segment (\"//\") never matches");
  CHECK(refusal("GET", "/a/../b") == "route \"/a/../b\": \".\" and \"..\" never match");
  CHECK(refusal("GET", "/a?x=1") == "route \"/a?x=1\": a path has no query and no fragment: leave out '?' and '#'");
  CHECK(refusal("GET", "/a%20b") == "route \"/a%20b\": write the path decoded, without '%'");
  CHECK(refusal("GET", "/x{id}") == "route \"/x{id}\": \"x{id}\": a {name} has to be a whole segment");
  CHECK(refusal("GET", "/{id") == "route \"/{id\": \"{id\": a {name} has to be a whole segment");
  CHECK(refusal("GET", "/{}") == "route \"/{}\": \"{}\": the name of a parameter is made of letters, digits and '_'");
  CHECK(refusal("GET", "/{a-b}") ==
        "route \"/{a-b}\": \"{a-b}\": the name of a parameter is made of letters, digits and '_'");
  CHECK(refusal("GET", "/{a...}/b") == "route \"/{a...}/b\": \"{a...}\" has to be the last segment");
  CHECK(refusal("GET", "/{a}/{a}") == "route \"/{a}/{a}\": the name {a} is used twice");
  CHECK(refusal("GET", "/a\nb") == "route \"/a\nb\": it has a control character");
  CHECK(refusal("G T", "/a") == "route \"G T /a\": \"G T\" is not a method that can be routed");
  CHECK(refusal("CONNECT", "/a") == "route \"CONNECT /a\": \"CONNECT\" is not a method that can be routed");
  CHECK(refusal("", "/a") == "route \" /a\": \"\" is not a method that can be routed");
  CHECK(refusal(std::string(20, 'A'), "/a") == "accepted");
  CHECK(refusal(std::string(21, 'A'), "/a").ends_with("is not a method that can be routed"));
  CHECK(refusal("get", "/a") == "route \"get /a\": methods are case-sensitive; use \"GET\"");
  CHECK(refusal("GET", "/there/{id}") == "route \"GET /there/{id}\" already exists");
  CHECK(refusal("GET", "/there/{name}") == "route \"GET /there/{name}\" already exists as \"/there/{id}\"");
  CHECK(refusal("POST", "/there/{name}") == "accepted");
  CHECK(refusal("GET", "/there/{name}/more") == "accepted");
  CHECK(refusal("GET", "/a/{r...}", "/a/{s...}") == "route \"GET /a/{r...}\" already exists as \"/a/{s...}\"");
}

TEST_CASE("a route has at most sixteen parameters", "[router]") {
  std::string pattern;
  std::string path;
  for (int i = 0; i < 16; ++i) {
    pattern += "/{p" + std::to_string(i) + "}";
    path += "/" + std::to_string(i);
  }
  Router router;
  router.add("GET", pattern, 0);
  CHECK(look_up(router, "GET", path).ends_with("p15=15"));
  CHECK(refusal("GET", pattern + "/{p16}").ends_with("more than 16 parameters"));
}

TEST_CASE("each route names its own parameters, also where two share a place", "[router]") {
  Router router;
  router.add("GET", "/x/{id}", 0);
  router.add("PUT", "/x/{name}", 1);
  router.add("GET", "/x/{owner}/y", 2);
  check_all(router, {{"GET", "/x/1", "0 id=1"}, {"PUT", "/x/1", "1 name=1"}, {"GET", "/x/1/y", "2 owner=1"}});
}

TEST_CASE("a path of many segments does not cost more than the routes have", "[router]") {
  Router router;
  for (const char* first : {"{a}", "x"}) {
    for (const char* second : {"{b}", "x"}) {
      for (const char* third : {"{c}", "x"}) {
        router.add("GET", std::string("/") + first + "/" + second + "/" + third + "/end", 0);
      }
    }
  }
  std::string path;
  for (int i = 0; i < 2000; ++i) path += "/x";
  CHECK(look_up(router, "GET", path) == "404");
}
