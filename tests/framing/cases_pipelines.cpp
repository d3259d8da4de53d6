// Several requests on one connection (RFC 9112 section 9.3.2): answered in order, and not after one that ends the
// connection.
#include "framing/framing_cases.h"

namespace pronghorn::test {

FramingCases pipeline_cases() {
  const std::string hello = get_with("");
  const std::string nothing = get_target("/nothing");
  const std::string post = post_with("Content-Length: 5\r\n", "hello");
  const std::string chunked = post_chunked("5\r\nhello\r\n0\r\n\r\n");
  const std::string unread = "POST /nothing HTTP/1.1\r\nHost: a\r\n";
  return {
      {"two", hello + nothing, {200, 404}},
      {"a body between", hello + post + nothing, {200, 200, 404}},
      {"an empty body between", post_with("Content-Length: 0\r\n", "") + nothing, {200, 404}},
      {"chunks between", chunked + hello, {200, 200}, After::kept, "Hello, World!"},
      {"chunks with trailers between", post_chunked("5\r\nhello\r\n0\r\nX: a\r\n\r\n") + hello, {200, 200}},
      {"chunks and lengths", chunked + post + chunked + post, {200, 200, 200, 200}, After::kept, "hello"},
      {"a body that nobody reads", nothing + unread + "Content-Length: 5\r\n\r\nhello" + hello, {404, 404, 200}},
      {"chunks that nobody reads",
       unread + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + hello,
       {404, 200},
       After::kept,
       "Hello, World!"},
      {"malformed chunks that nobody reads",
       unread + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n" + hello,
       {404},
       After::closed},
      {"an empty line between", hello + "\r\n" + hello, {200, 200}},
      {"an empty line behind a body", post + "\r\n" + hello, {200, 200}},
      {"a body longer than its length", post + "X" + hello, {200, 501}, After::kept},
      {"a body shorter than its length", post_with("Content-Length: 6\r\n", "hello") + hello, {200, 501}, After::kept},
      {"malformed first", "GET /hello HTTP/1.1\r\n\r\n" + hello, {400}, After::closed},
      {"malformed second", hello + "GET /hello HTTP/1.1\r\nHost : a\r\n\r\n" + hello, {200, 400}, After::closed},
      {"malformed behind a body", post + "GET /hello\r\n\r\n" + hello, {200, 400}, After::closed},
      {"malformed chunks first", post_chunked("5\r\nhelloGET /json HTTP/1.1\r\n\r\n") + hello, {400}, After::closed},
      {"malformed chunks second", hello + post_chunked("x\r\n") + hello, {200, 400}, After::closed},
      {"an unknown method second", hello + "BREW / HTTP/1.1\r\nHost: a\r\n\r\n" + hello, {200, 501, 200}},
      {"an unknown version second", hello + "GET / HTTP/2.0\r\nHost: a\r\n\r\n" + hello, {200, 505}, After::closed},
      {"an unknown expectation second", hello + get_with("Expect: x\r\n") + hello, {200, 417}, After::closed},
      {"close first", get_with("Connection: close\r\n") + hello, {200}, After::closed},
      {"close second", hello + get_with("Connection: close\r\n") + hello, {200, 200}, After::closed},
      {"close with a body first",
       post_with("Connection: close\r\nContent-Length: 5\r\n", "hello") + hello,
       {200},
       After::closed},
      {"HTTP/1.0 first", "GET /hello HTTP/1.0\r\n\r\n" + hello, {200}, After::closed},
      {"HTTP/1.0 kept alive first", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + hello, {200, 200}},
      {"HTTP/1.0 second", hello + "GET /hello HTTP/1.0\r\n\r\n" + hello, {200, 200}, After::closed},
      {"a failed preface of HTTP/2", hello + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {200, 505}, After::closed},
  };
}

}  // namespace pronghorn::test
