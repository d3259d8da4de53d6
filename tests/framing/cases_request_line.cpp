// Request lines (RFC 9112 section 3).
#include "framing/framing_cases.h"

namespace pronghorn::test {

namespace {

using namespace std::string_literals;

std::string line(const std::string& request_line) { return request_line + "\r\nHost: a\r\n\r\n"; }

}  // namespace

FramingCases request_line_cases() {
  return {
      refused("blank first", line(" GET /hello HTTP/1.1")),
      refused("two blanks before the target", line("GET  /hello HTTP/1.1")),
      refused("two blanks before the version", line("GET /hello  HTTP/1.1")),
      refused("blank at the end", line("GET /hello HTTP/1.1 ")),
      refused("tabs between the parts", line("GET\t/hello\tHTTP/1.1")),
      refused("a tab before the version", line("GET /hello\tHTTP/1.1")),
      refused("a tab at the end", line("GET /hello HTTP/1.1\t")),
      refused("HTTP/0.9", "GET /hello\r\n\r\n"),
      refused("HTTP/0.9 with a field", line("GET /hello")),
      refused("no target", line("GET HTTP/1.1")),
      refused("an empty target", line("GET  HTTP/1.1")),
      refused("only a method", line("GET")),
      refused("only a version", line("HTTP/1.1")),
      refused("a field first", "Host: a\r\nGET /hello HTTP/1.1\r\n\r\n"),
      refused("a response", "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n"),
      refused("blank in the target", line("GET /hel lo HTTP/1.1")),
      refused("a second request line in the target", line("GET /hello HTTP/1.1 /json HTTP/1.1")),
      refused("text behind the version", line("GET /hello HTTP/1.1 more")),
      refused("an empty line", "GET\r\n\r\n"),
      refused("a TLS client", "\026\003\001\002\000\001\000\001\374\003\003\r\n\r\n"s),
      refused("garbage", "\377\376\375\r\n\r\n"),
      refused("a byte order mark", "\357\273\277" + get_with("")),
      {"several empty lines before it", "\r\n\r\n\r\n" + get_with(""), {200}},
      {"empty lines and nothing else", "\r\n\r\n", {}},
  };
}

FramingCases method_cases() {
  return {
      // No route of the demo has these. The framing is clear all the same, so the connection is kept.
      {"unknown", line("BREW /hello HTTP/1.1"), {501}},
      {"unknown, of a path that is unknown too", line("BREW /nowhere HTTP/1.1"), {501}},
      {"unknown, with a body", "BREW /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", {501}},
      {"lower case", line("get /hello HTTP/1.1"), {501}},
      {"mixed case", line("Get /hello HTTP/1.1"), {501}},
      {"a known one with a letter more", line("GETS /hello HTTP/1.1"), {501}},
      {"a known one with a letter less", line("GE /hello HTTP/1.1"), {501}},
      {"every token character", line("!#$%&'*+-.^_`|~aZ09 /hello HTTP/1.1"), {501}},
      {"300 letters", line(std::string(300, 'A') + " /hello HTTP/1.1"), {501}},
      {"one of RTSP", line("DESCRIBE /hello HTTP/1.1"), {501}},
      {"one of Icecast", line("SOURCE /hello HTTP/1.1"), {501}},
      refused("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
      refused("CONNECT of a path", line("CONNECT /hello HTTP/1.1"), 501),
      {"known, not of this path", line("DELETE /hello HTTP/1.1"), {405}},
      refused("parenthesis", line("G(T /hello HTTP/1.1")),
      refused("colon", line("GET: /hello HTTP/1.1")),
      refused("slash", line("GET/ /hello HTTP/1.1")),
      refused("quotes", line("\"GET\" /hello HTTP/1.1")),
      refused("angle brackets", line("<GET> /hello HTTP/1.1")),
      refused("a byte above 127", line("G\351T /hello HTTP/1.1")),
  };
}

// A higher minor version is answered as 1.1 (RFC 9110 section 2.5).
FramingCases version_cases() {
  return {
      {"1.0", line("GET /hello HTTP/1.0"), {200}, After::closed, "Hello, World!"},
      {"1.0 without Host", "GET /hello HTTP/1.0\r\n\r\n", {200}, After::closed},
      {"1.0 kept alive", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {200}},
      {"1.2", line("GET /hello HTTP/1.2"), {200}, After::kept, "Hello, World!"},
      {"1.9", line("GET /hello HTTP/1.9"), {200}, After::kept, "Hello, World!"},
      {"1.2 with chunks",
       "POST /echo HTTP/1.2\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
       {200},
       After::kept,
       "hello"},
      {"1.2 that closes", "GET /hello HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n", {200}, After::closed},
      refused("1.2 without Host", "GET /hello HTTP/1.2\r\n\r\n"),
      refused("2.0", line("GET /hello HTTP/2.0"), 505),
      refused("3.0", line("GET /hello HTTP/3.0"), 505),
      refused("0.9", line("GET /hello HTTP/0.9"), 505),
      refused("0.0", line("GET /hello HTTP/0.0"), 505),
      refused("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
      refused("lower case", line("GET /hello http/1.1")),
      refused("mixed case", line("GET /hello Http/1.1")),
      refused("two digits", line("GET /hello HTTP/1.10")),
      refused("two digits before the dot", line("GET /hello HTTP/11.1")),
      refused("a leading zero", line("GET /hello HTTP/01.1")),
      refused("three numbers", line("GET /hello HTTP/1.1.1")),
      refused("no minor version", line("GET /hello HTTP/1")),
      refused("an empty minor version", line("GET /hello HTTP/1.")),
      refused("no version", line("GET /hello HTTP/")),
      refused("a sign", line("GET /hello HTTP/+1.1")),
      refused("letters", line("GET /hello HTTP/a.b")),
      refused("a comma", line("GET /hello HTTP/1,1")),
      refused("a blank behind the slash", line("GET /hello HTTP/ 1.1")),
      refused("no slash", line("GET /hello HTTP1.1")),
      refused("another protocol", line("GET /hello ICAP/1.0")),
      refused("RTSP", line("GET /hello RTSP/1.0")),
  };
}

FramingCases target_cases() {
  return {
      {"percent-encoded", get_target("/hel%6Co"), {200}, After::kept, "Hello, World!"},
      {"empty query", get_target("/hello?"), {200}},
      {"a query with everything", get_target("/hello?a=/?:@!$&'()*+,;=-._~%20"), {200}},
      {"absolute", get_target("http://a/hello"), {200}, After::kept, "Hello, World!"},
      {"absolute, https", get_target("https://a/hello"), {200}},
      {"absolute, another host than Host", get_target("http://b:81/hello"), {200}},
      {"absolute, upper case scheme", get_target("HTTP://a/hello"), {200}},
      {"absolute, an IPv6 address", get_target("http://[::1]:80/hello"), {200}},
      {"absolute, no path", get_target("http://a"), {200}},
      {"absolute, only a query", get_target("http://a?x=1"), {200}},
      {"absolute, an empty Host", "GET http://a/hello HTTP/1.1\r\nHost:\r\n\r\n", {200}},
      refused("absolute without Host", "GET http://a/hello HTTP/1.1\r\n\r\n"),
      refused("absolute with a malformed Host", "GET http://a/hello HTTP/1.1\r\nHost: a b\r\n\r\n"),
      refused("absolute without authority", get_target("http:///hello")),
      refused("absolute, nothing behind the scheme", get_target("http://")),
      refused("absolute with one slash", get_target("http:/hello")),
      refused("absolute without slashes", get_target("http:hello")),
      refused("absolute with user", get_target("http://me@a/hello")),
      refused("absolute with user and password", get_target("http://me:secret@a/hello")),
      refused("absolute with a port that is none", get_target("http://a:b/hello")),
      refused("absolute with an open bracket", get_target("http://[::1/hello")),
      refused("absolute with two hosts", get_target("http://a,b/hello")),
      refused("absolute with a fragment", get_target("http://a/hello#part")),
      refused("absolute with another scheme", get_target("ftp://a/hello")),
      refused("absolute with a script", get_target("javascript://a/hello")),
      refused("* for GET", get_target("*")),
      refused("* for POST", "POST * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
      refused("* with a path", "OPTIONS */hello HTTP/1.1\r\nHost: a\r\n\r\n"),
      refused("authority for GET", get_target("a:80")),
      refused("no slash first", get_target("hello")),
      refused("only a query", get_target("?x=1")),
      refused("fragment", get_target("/hello#part")),
      refused("fragment in the query", get_target("/hello?x#part")),
      refused("a tab", get_target("/hel\tlo")),
      refused("raw UTF-8", get_target("/h\303\251llo")),
      refused("a byte that is no UTF-8", get_target("/h\377llo")),
  };
}

// Paths are not normalised. One that two implementations could take for different paths is answered 400, and the
// connection is kept, because the framing is clear.
FramingCases odd_path_cases() {
  FramingCases cases;
  for (const char* path : {"//hello", "//evil.example/hello", "/\\hello", "/hello/", "/hello;x=1", "/hello%20",
                           "/hello%252e", "/%2fhello", "/files/..%5cdemo.so", "/files/%252e%252e/demo.so",
                           "/files/%c0%ae%c0%ae/demo.so", "/files//etc/passwd", "/files/%2fetc/passwd"}) {
    cases.push_back({path, get_target(path), {404}});
  }
  for (const char* path :
       {"/../hello", "/./hello", "/%2e%2e/hello", "/files/../pronghorn.txt", "/files/%2e%2e/demo.so",
        "/files/..%2fdemo.so", "/files/%2e%2e%2fdemo.so", "/files/%2E./demo.so", "/files/.", "/files/..", "/hello%00",
        "/files/pronghorn.txt%00.html", "/hello%2", "/hello%", "/hello%zz", "/hello%u0041", "/hello%-1"}) {
    cases.push_back({path, get_target(path), {400}});
  }
  cases.push_back({"a parameter with an invalid escape", get_target("/users/%zz"), {400}});
  cases.push_back({"a parameter with half an escape", get_target("/users/7%"), {400}});
  cases.push_back({"a parameter with NUL", get_target("/users/7%00"), {400}});
  cases.push_back({"a query with an invalid escape", get_target("/slow?ms=%zz"), {400}});
  cases.push_back({"a file with an invalid escape", get_target("/files/%zz"), {400}});
  return cases;
}

}  // namespace pronghorn::test
