// The chunked transfer coding (RFC 9112 section 7.1).
#include "framing/framing_cases.h"

namespace pronghorn::test {

using namespace std::string_literals;

FramingCases chunk_cases() {
  return {
      {"one", post_chunked("5\r\nhello\r\n0\r\n\r\n"), {200}, After::kept, "hello"},
      {"two", post_chunked("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), {200}, After::kept, "hello"},
      {"one for each byte",
       post_chunked("1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n"),
       {200},
       After::kept,
       "hello"},
      {"none", post_chunked("0\r\n\r\n"), {200}, After::kept, ""},
      {"hexadecimal in capitals", post_chunked("A\r\n0123456789\r\n0\r\n\r\n"), {200}, After::kept, "0123456789"},
      {"hexadecimal in small letters", post_chunked("a\r\n0123456789\r\n0\r\n\r\n"), {200}, After::kept, "0123456789"},
      {"two digits", post_chunked("10\r\n0123456789abcdef\r\n0\r\n\r\n"), {200}, After::kept, "0123456789abcdef"},
      {"leading zeros", post_chunked("0005\r\nhello\r\n000\r\n\r\n"), {200}, After::kept, "hello"},
      {"extension", post_chunked("5;a=b\r\nhello\r\n0;c\r\n\r\n"), {200}, After::kept, "hello"},
      {"quoted extension", post_chunked("5;a=\"b c\"\r\nhello\r\n0\r\n\r\n"), {200}, After::kept, "hello"},
      {"an extension with an escape", post_chunked("5;a=\"\\\"\"\r\nhello\r\n0\r\n\r\n"), {200}, After::kept, "hello"},
      {"several extensions", post_chunked("5;a;b=c;d=\"e\"\r\nhello\r\n0\r\n\r\n"), {200}, After::kept, "hello"},
      {"blanks in an extension", post_chunked("5; a = b\r\nhello\r\n0\r\n\r\n"), {200}, After::kept, "hello"},
      {"blanks before extensions",
       post_chunked("5 ;a\t; b=c \t;\td = \"e\" ;f\r\nhello\r\n0 ;x\r\n\r\n"),
       {200},
       After::kept,
       "hello"},
      {"every character of a quoted extension",
       post_chunked("5;a=\"\t !#[]~\\\\\\\t\351\"\r\nhello\r\n0\r\n\r\n"),
       {200},
       After::kept,
       "hello"},
      {"many leading zeros",
       post_chunked(std::string(500, '0') + "5\r\nhello\r\n" + std::string(500, '0') + "\r\n\r\n"),
       {200},
       After::kept,
       "hello"},
      {"extensions of 5000 bytes",
       post_chunked("5;" + std::string(5000, 'a') + "\r\nhello\r\n0\r\n\r\n"),
       {200},
       After::kept,
       "hello"},
      {"a body that looks like chunks", post_chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), {200}, After::kept, "0\r\n\r\n"},
      {"a body that looks like a request",
       post_chunked("17\r\nGET /json HTTP/1.1\r\n\r\nx\r\n0\r\n\r\n"),
       {200},
       After::kept,
       "GET /json HTTP/1.1\r\n\r\nx"},
      {"a body with NUL", post_chunked("3\r\na\000b\r\n0\r\n\r\n"s), {200}, After::kept, "a\000b"s},
  };
}

FramingCases malformed_chunk_cases() {
  std::string many_extensions = post_chunked("");
  for (int i = 0; i < 40; ++i) many_extensions += "1;" + std::string(1000, 'a') + "\r\nx\r\n";
  FramingCases cases{
      refused("no size", post_chunked("\r\nhello\r\n0\r\n\r\n")),
      refused("longer than it says", post_chunked("5\r\nhelloX\r\n0\r\n\r\n")),
      refused("shorter than it says", post_chunked("6\r\nhello\r\n0\r\n\r\n")),
      refused("no CRLF behind the data", post_chunked("5\r\nhello0\r\n\r\n")),
      refused("two CRLF behind the data", post_chunked("5\r\nhello\r\n\r\n0\r\n\r\n")),
      refused("the second size malformed", post_chunked("5\r\nhello\r\nx\r\n")),
      refused("LF in an extension", post_chunked("5;a\nhello\r\n0\r\n\r\n")),
      refused("CR in an extension", post_chunked("5;a\rb\r\nhello\r\n0\r\n\r\n")),
      refused("LF in a quoted extension", post_chunked("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n")),
      refused("CR LF in an extension of the last chunk", post_chunked("5\r\nhello\r\n0;a\r\r\n\r\n")),
      refused("an extension that hides a chunk", post_chunked("2;\n\nxx\r\n0\r\n\r\n")),
      refused("an extension of 20000 bytes", post_chunked("5;" + std::string(20'000, 'a') + "\r\nhello\r\n0\r\n\r\n"),
              413),
      refused("20000 leading zeros", post_chunked(std::string(20'000, '0') + "5\r\nhello\r\n0\r\n\r\n"), 413),
      refused("extensions of 40000 bytes around 40", many_extensions, 413),
      refused("a request instead of the last chunk", post_chunked("5\r\nhello\r\n" + get_with(""))),
      refused("a negative last size", post_chunked("5\r\nhello\r\n-0\r\n\r\n")),
      refused("the last size with a sign", post_chunked("5\r\nhello\r\n+0\r\n\r\n")),
  };
  for (const std::string& size : {"g"s,
                                  "0x5"s,
                                  "0X5"s,
                                  "x5"s,
                                  "5h"s,
                                  "h5"s,
                                  "+5"s,
                                  "-5"s,
                                  "--5"s,
                                  " 5"s,
                                  "\t5"s,
                                  "5 "s,
                                  "5\t"s,
                                  "5;"s,
                                  "5 ;"s,
                                  "5;;a"s,
                                  "5;a;"s,
                                  "5;a "s,
                                  "5;a=b "s,
                                  "5;a="s,
                                  "5;=b"s,
                                  "5;a b"s,
                                  "5;a=b c"s,
                                  "5;a==b"s,
                                  "5;a,b"s,
                                  "5;a=b,c"s,
                                  "5;a:b"s,
                                  "5;a(b"s,
                                  "5;a\351"s,
                                  "5;a=\351"s,
                                  "5;a=\""s,
                                  "5;a=\"b"s,
                                  "5;a=\"b\\\""s,
                                  "5;a=\"b\"c"s,
                                  "5;a=b\"c\""s,
                                  "5;a=\"\1\""s,
                                  "5;a=\"\\\1\""s,
                                  "5;\"a\"=b"s,
                                  "5 5;a"s,
                                  "5,a"s,
                                  "5=a"s,
                                  "5.0"s,
                                  "5_0"s,
                                  "5'0"s,
                                  "\"5\""s,
                                  "5a g"s,
                                  "5 5"s,
                                  "five"s,
                                  "5\271"s,
                                  "\357\274\225"s,
                                  "fffffffffffffffff"s,
                                  "10000000000000005"s,
                                  "8000000000000000"s,
                                  "ffffffffffffffff"s,
                                  "1000000000000000000000000000000005"s}) {
    cases.push_back(refused("the size \"" + size + "\"", post_chunked(size + "\r\nhello\r\n0\r\n\r\n")));
  }
  return cases;
}

// Trailers have no effect on the message, whatever they say.
FramingCases trailer_cases() {
  const auto with = [](const std::string& trailers) { return post_chunked("5\r\nhello\r\n0\r\n" + trailers + "\r\n"); };
  FramingCases cases;
  for (const std::string& trailers :
       {"X: a\r\n"s, "X:\r\n"s, "X: a\r\nY: b\r\n"s, "X: caf\303\251\r\n"s, "Content-Length: 6\r\n"s,
        "Content-Length: x\r\n"s, "Transfer-Encoding: chunked\r\n"s, "Transfer-Encoding: gzip\r\n"s,
        "Host: b\r\nHost: c\r\n"s, "Connection: close\r\n"s, "Expect: a-miracle\r\n"s, "Cookie: a=b\r\n"s,
        "Authorization: Basic YTpi\r\n"s, "Content-Type: text/html\r\n"s, "Trailer: X\r\n"s}) {
    cases.push_back({trailers, with(trailers), {200}, After::kept, "hello"});
  }
  for (const std::string& trailers :
       {"X\r\n"s, ": a\r\n"s, ":\r\n"s, "X : a\r\n"s, "X\t: a\r\n"s, "X Y: a\r\n"s, " X: a\r\n"s, "X: a\r\n b\r\n"s,
        "X: a\r\n\tb\r\n"s, "X(: a\r\n"s, "X\351: a\r\n"s, "X\000: a\r\n"s, "X: a\rb\r\n"s, "X: a\nY: b\r\n"s,
        "GET /json HTTP/1.1\r\n"s, "X: a\1\r\n"s}) {
    cases.push_back(refused(trailers.substr(0, 40), with(trailers)));
  }
  cases.push_back(refused("a trailer of 20 KiB", with("X: " + std::string(20 * 1024, 'a') + "\r\n"), 413));
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "X:\r\n";
  cases.push_back(refused("5000 trailers", with(many), 413));
  return cases;
}

}  // namespace pronghorn::test
