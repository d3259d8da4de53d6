// Header fields as RFC 9112 section 5 says: what two parsers could read differently is refused.
#include "integration/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

namespace {

std::string head(const std::string& fields) { return "GET /hello HTTP/1.1\r\n" + fields + "\r\n"; }

}  // namespace

TEST_CASE("a request names one valid host", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, {{"no Host", head(""), {400}, After::closed},
                       {"two Hosts", head("Host: a\r\nHost: b\r\n"), {400}, After::closed},
                       {"the same Host twice", head("Host: a\r\nhost: a\r\n"), {400}, After::closed},
                       {"a list", head("Host: a, b\r\n"), {400}, After::closed},
                       {"blank in Host", head("Host: a b\r\n"), {400}, After::closed},
                       {"a path in Host", head("Host: a/b\r\n"), {400}, After::closed},
                       {"a user in Host", head("Host: me@a\r\n"), {400}, After::closed},
                       {"a port that is none", head("Host: a:b\r\n"), {400}, After::closed},
                       {"an open bracket", head("Host: [::1\r\n"), {400}, After::closed},
                       {"markup in Host", head("Host: <a>\r\n"), {400}, After::closed},
                       {"a name", head("Host: Shop.Example\r\n"), {200}},
                       {"a name and a port", head("Host: shop.example:8080\r\n"), {200}},
                       {"an IPv6 address and a port", head("Host: [::1]:8080\r\n"), {200}},
                       {"blanks around it", head("Host: \t a \t\r\n"), {200}}});
}

TEST_CASE("folded lines and blanks around names are refused", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(
      server,
      {{"folded with a blank", get_with("X: a\r\n b\r\n"), {400}, After::closed},
       {"folded with a tab", get_with("X: a\r\n\tb\r\n"), {400}, After::closed},
       {"folded length", get_with("Content-Length:\r\n 5\r\n"), {400}, After::closed},
       {"first field folded", head(" X: a\r\nHost: a\r\n"), {400}, After::closed},
       {"a line of blanks ends the head", "GET /hello HTTP/1.1\r\nHost: a\r\n \r\n\r\n", {400}, After::closed},
       {"blank before the colon", get_with("X : a\r\n"), {400}, After::closed},
       {"tab before the colon", get_with("X\t: a\r\n"), {400}, After::closed},
       {"blank before the colon of Host", head("Host : a\r\n"), {400}, After::closed},
       {"blank before the colon of a length", post_with("Content-Length : 5\r\n", "hello"), {400}, After::closed},
       {"blank in a name", get_with("X Y: a\r\n"), {400}, After::closed}});
}

TEST_CASE("field names are tokens", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, {{"every token character", get_with("!#$%&'*+-.^_`|~aZ09: a\r\n"), {200}},
                       {"no name", get_with(": a\r\n"), {400}, After::closed},
                       {"no colon", get_with("X\r\n"), {400}, After::closed},
                       {"parenthesis", get_with("X(: a\r\n"), {400}, After::closed},
                       {"slash", get_with("X/Y: a\r\n"), {400}, After::closed},
                       {"quote", get_with("\"X\": a\r\n"), {400}, After::closed},
                       {"bracket", get_with("X[]: a\r\n"), {400}, After::closed},
                       {"byte above 127", get_with("X\xe9: a\r\n"), {400}, After::closed},
                       {"NUL", get_with(std::string("X\0Y: a\r\n", 8)), {400}, After::closed},
                       {"control character", get_with("X\x0b: a\r\n"), {400}, After::closed},
                       {"DEL", get_with("X\x7f: a\r\n"), {400}, After::closed}});
}

TEST_CASE("field values have no control characters", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, {{"empty", get_with("X:\r\n"), {200}},
                       {"no blank after the colon", get_with("X:a\r\n"), {200}},
                       {"blanks around", get_with("X: \t a b \t \r\n"), {200}},
                       {"tab inside", get_with("X: a\tb\r\n"), {200}},
                       {"bytes above 127", get_with("X: caf\xc3\xa9 \xff\r\n"), {200}},
                       {"colons", get_with("X: :a::b:\r\n"), {200}},
                       {"NUL", get_with(std::string("X: a\0b\r\n", 8)), {400}, After::closed},
                       {"control character 1", get_with("X: a\x01\r\n"), {400}, After::closed},
                       {"backspace", get_with("X: a\x08 b\r\n"), {400}, After::closed},
                       {"vertical tab", get_with("X: a\x0b\r\n"), {400}, After::closed},
                       {"DEL", get_with("X: a\x7f\r\n"), {400}, After::closed}});
}

TEST_CASE("Connection says whether the connection lives on", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server,
              {{"close", get_with("Connection: close\r\n"), {200}, After::closed},
               {"close in a list, in capitals", get_with("Connection: foo , CLOSE\r\n"), {200}, After::closed},
               {"close in a second field", get_with("Connection: foo\r\nConnection: close\r\n"), {200}, After::closed},
               {"keep-alive", get_with("Connection: keep-alive\r\n"), {200}},
               {"both", get_with("Connection: keep-alive, close\r\n"), {200}, After::closed},
               {"an unknown option", get_with("Connection: closed\r\n"), {200}},
               {"an upgrade that is not spoken", get_with("Connection: Upgrade\r\nUpgrade: h2c\r\n"), {200}}});
}
