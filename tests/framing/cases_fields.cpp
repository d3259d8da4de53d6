// Header fields (RFC 9112 section 5, RFC 9110 section 5): what two implementations could read differently is refused.
#include "framing/framing_cases.h"

namespace pronghorn::test {

namespace {

std::string head(const std::string& fields) { return "GET /hello HTTP/1.1\r\n" + fields + "\r\n"; }

std::string expecting(const std::string& fields) { return post_with("Content-Length: 5\r\n" + fields, "hello"); }

}  // namespace

FramingCases host_cases() {
  FramingCases cases{
      refused("no Host", head("")),
      refused("two Hosts", head("Host: a\r\nHost: b\r\n")),
      refused("the same Host twice", head("Host: a\r\nhost: a\r\n")),
      refused("the second Host is empty", head("Host: a\r\nHost:\r\n")),
      refused("Hosts with a field between", head("Host: a\r\nX: y\r\nHost: a\r\n")),
      refused("two Hosts in HTTP/1.0", "GET /hello HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
      refused("malformed in HTTP/1.0", "GET /hello HTTP/1.0\r\nHost: a b\r\n\r\n"),
      {"empty", head("Host:\r\n"), {200}},
      {"nothing but blanks", head("Host: \t \r\n"), {200}},
      {"a name", head("Host: Shop.Example\r\n"), {200}},
      {"a name and a port", head("Host: shop.example:8080\r\n"), {200}},
      {"a name and an empty port", head("Host: shop.example:\r\n"), {200}},
      {"an IPv4 address", head("Host: 127.0.0.1\r\n"), {200}},
      {"an IPv6 address", head("Host: [2001:db8::1]\r\n"), {200}},
      {"an IPv6 address and a port", head("Host: [::1]:8080\r\n"), {200}},
      {"an underscore", head("Host: my_shop.example\r\n"), {200}},
      {"blanks around it", head("Host: \t a \t\r\n"), {200}},
      {"as the last field", head("X: y\r\nHost: a\r\n"), {200}},
      {"a field that only begins so", head("Host: a\r\nHosts: b\r\nX-Host: c\r\n"), {200}},
  };
  for (const char* host :
       {"a, b",  "a,b",      "a b",    "a\tb",    "a/b",   "a\\b",     "me@a",  "me:secret@a",
        "a:b",   "a:80x",    "a:-1",   "a:80:80", "a: 80", "a:123456", ":80",   ":",
        "[::1",  "::1",      "[::1]x", "[::1]:x", "[]",    "[a",       "[::g]", "<a>",
        "\"a\"", "http://a", "a#b",    "a?b",     "a|b",   "a^b",      "{a}",   "\303\251.example"}) {
    cases.push_back(refused(host, head("Host: " + std::string(host) + "\r\n")));
  }
  return cases;
}

FramingCases folding_cases() {
  return {
      refused("folded with a blank", get_with("X: a\r\n b\r\n")),
      refused("folded with a tab", get_with("X: a\r\n\tb\r\n")),
      refused("folded to an empty line", get_with("X: a\r\n \r\n")),
      refused("a folded field", get_with("X: a\r\n Content-Length: 5\r\n")),
      refused("folded length", get_with("Content-Length:\r\n 5\r\n")),
      refused("folded before the colon", get_with("Content-Length\r\n : 5\r\n")),
      refused("folded Host", head("Host:\r\n a\r\n")),
      refused("first field folded", head(" X: a\r\nHost: a\r\n")),
      refused("a line of blanks ends the head", "GET /hello HTTP/1.1\r\nHost: a\r\n \r\n\r\n"),
      refused("folded request line", "GET /hello\r\n HTTP/1.1\r\nHost: a\r\n\r\n"),
      refused("blank before the colon", get_with("X : a\r\n")),
      refused("tab before the colon", get_with("X\t: a\r\n")),
      refused("blank before the colon of Host", head("Host : a\r\n")),
      refused("blank before the colon of a length", post_with("Content-Length : 5\r\n", "hello")),
      refused("blank in a name", get_with("X Y: a\r\n")),
  };
}

FramingCases field_name_cases() {
  FramingCases cases{
      {"every token character", get_with("!#$%&'*+-.^_`|~aZ09: a\r\n"), {200}},
      {"one letter", get_with("x: a\r\n"), {200}},
      {"digits", get_with("1: a\r\n"), {200}},
      {"1000 letters", get_with(std::string(1000, 'x') + ": a\r\n"), {200}},
      {"an underscore for the dash of a length", get_with("Content_Length: 5\r\n"), {200}},
      refused("no name", get_with(": a\r\n")),
      refused("nothing but a colon", get_with(":\r\n")),
      refused("no colon", get_with("X\r\n")),
      refused("a second request line", get_with("GET /json HTTP/1.1\r\n")),
      refused("byte above 127", get_with("X\351: a\r\n")),
      refused("no-break space before the colon", get_with("X\240: a\r\n")),
  };
  for (const char separator : {'(', ')', '<', '>', '@', ',', ';', '\\', '"', '/', '[', ']', '?', '=', '{', '}'}) {
    const std::string name = std::string("X") + separator + "Y";
    cases.push_back(refused(name, get_with(name + ": a\r\n")));
  }
  return cases;
}

FramingCases field_value_cases() {
  return {
      {"empty", get_with("X:\r\n"), {200}},
      {"nothing but blanks", get_with("X: \t \r\n"), {200}},
      {"no blank after the colon", get_with("X:a\r\n"), {200}},
      {"blanks around", get_with("X: \t a b \t \r\n"), {200}},
      {"tab inside", get_with("X: a\tb\r\n"), {200}},
      {"bytes above 127", get_with("X: caf\303\251 \377\r\n"), {200}},
      {"colons", get_with("X: :a::b:\r\n"), {200}},
      {"a request line", get_with("X: GET /json HTTP/1.1\r\n"), {200}, After::kept, "Hello, World!"},
      {"every visible character", get_with("X: !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~\r\n"), {200}},
      {"a quote without end", get_with("X: \"a\r\n"), {200}},
      {"the same field many times", get_with("X: a\r\nX: a\r\nx: b\r\nX:\r\n"), {200}},
  };
}

FramingCases connection_cases() {
  return {
      {"close", get_with("Connection: close\r\n"), {200}, After::closed},
      {"close in a list, in capitals", get_with("Connection: foo , CLOSE\r\n"), {200}, After::closed},
      {"close in a second field", get_with("Connection: foo\r\nConnection: close\r\n"), {200}, After::closed},
      {"close in the first field", get_with("Connection: close\r\nConnection: keep-alive\r\n"), {200}, After::closed},
      {"close among empty elements", get_with("Connection: ,, ,close,\r\n"), {200}, After::closed},
      {"both", get_with("Connection: keep-alive, close\r\n"), {200}, After::closed},
      {"close with a body", post_with("Content-Length: 5\r\nConnection: close\r\n", "hello"), {200}, After::closed},
      {"keep-alive", get_with("Connection: keep-alive\r\n"), {200}},
      {"keep-alive with its parameters", get_with("Connection: keep-alive\r\nKeep-Alive: timeout=1, max=1\r\n"), {200}},
      {"empty", get_with("Connection:\r\n"), {200}},
      {"an unknown option", get_with("Connection: closed\r\n"), {200}},
      {"a quoted close", get_with("Connection: \"close\"\r\n"), {200}},
      {"close of a proxy's field", get_with("Proxy-Connection: close\r\n"), {200}},
      {"the name of a field that frames",
       post_with("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"),
       {200},
       After::kept,
       "hello"},
      {"an upgrade that is not spoken", get_with("Connection: Upgrade\r\nUpgrade: h2c\r\n"), {200}},
      {"an upgrade without Connection", get_with("Upgrade: foo/2\r\n"), {200}},
      {"HTTP/1.0, close", "GET /hello HTTP/1.0\r\nConnection: close\r\n\r\n", {200}, After::closed},
      {"HTTP/1.0, both", "GET /hello HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", {200}, After::closed},
      {"HTTP/1.0, an unknown option", "GET /hello HTTP/1.0\r\nConnection: foo\r\n\r\n", {200}, After::closed},
      {"HTTP/1.0, keep-alive in capitals", "GET /hello HTTP/1.0\r\nConnection: KEEP-ALIVE\r\n\r\n", {200}},
  };
}

// RFC 9110 section 10.1.1.
FramingCases expect_cases() {
  return {
      {"100-continue", expecting("Expect: 100-continue\r\n"), {100, 200}, After::kept, "hello"},
      {"in capitals", expecting("Expect: 100-CONTINUE\r\n"), {100, 200}, After::kept, "hello"},
      {"chunked",
       post_with("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "5\r\nhello\r\n0\r\n\r\n"),
       {100, 200},
       After::kept,
       "hello"},
      {"without a body", get_with("Expect: 100-continue\r\n"), {200}},
      {"with an empty body", post_with("Content-Length: 0\r\nExpect: 100-continue\r\n", ""), {200}},
      refused("unknown", expecting("Expect: a-miracle\r\n"), 417),
      {"empty", expecting("Expect:\r\n"), {200}, After::kept, "hello"},
      {"with empty elements", expecting("Expect: , 100-continue,\r\n"), {100, 200}, After::kept, "hello"},
      refused("a list", expecting("Expect: 100-continue, a-miracle\r\n"), 417),
      refused("with a parameter", expecting("Expect: 100-continue;q=1\r\n"), 417),
      refused("quoted", expecting("Expect: \"100-continue\"\r\n"), 417),
      refused("another number", expecting("Expect: 200-ok\r\n"), 417),
      refused("two fields", expecting("Expect: 100-continue\r\nExpect: a-miracle\r\n"), 417),
      {"HTTP/1.0 has none",
       "POST /echo HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
       {200},
       After::closed,
       "hello"},
      {"unknown in HTTP/1.0", "GET /hello HTTP/1.0\r\nExpect: a-miracle\r\n\r\n", {200}, After::closed},
  };
}

}  // namespace pronghorn::test
