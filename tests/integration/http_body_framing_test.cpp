// Where a body ends: Content-Length and chunks (RFC 9112 sections 6 and 7.1), the place where requests are smuggled.
#include "integration/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

namespace {

std::string with_length(const std::string& value) { return post_with("Content-Length: " + value + "\r\n", "hello"); }
std::string with_coding(const std::string& value) {
  return post_with("Transfer-Encoding: " + value + "\r\n", "5\r\nhello\r\n0\r\n\r\n");
}

}  // namespace

TEST_CASE("Content-Length is one plain number", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(
      server,
      {{"5", with_length("5"), {200}, After::kept, "hello"},
       {"leading zeros", with_length("005"), {200}, After::kept, "hello"},
       {"blanks around it", with_length("  5  "), {200}, After::kept, "hello"},
       {"0", post_with("Content-Length: 0\r\n", ""), {200}, After::kept, ""},
       {"none", post_with("", ""), {200}, After::kept, ""},
       {"of a GET, skipped", "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", {200}, After::kept},
       {"empty", with_length(""), {400}, After::closed},
       {"plus", with_length("+5"), {400}, After::closed},
       {"minus", with_length("-5"), {400}, After::closed},
       {"hexadecimal", with_length("0x5"), {400}, After::closed},
       {"letters behind", with_length("5a"), {400}, After::closed},
       {"exponent", with_length("5e0"), {400}, After::closed},
       {"a fraction", with_length("5.0"), {400}, After::closed},
       {"two numbers", with_length("5 5"), {400}, After::closed},
       {"a list of the same", with_length("5, 5"), {400}, After::closed},
       {"a list of different ones", with_length("5, 6"), {400}, After::closed},
       {"a quoted number", with_length("\"5\""), {400}, After::closed},
       {"a byte above 127", with_length("5\xb9"), {400}, After::closed},
       {"2^64", with_length("18446744073709551616"), {400}, After::closed},
       {"2^64 + 5", with_length("18446744073709551621"), {400}, After::closed},
       {"forty digits", with_length(std::string(40, '9')), {400}, After::closed},
       {"twice the same", post_with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), {400}, After::closed},
       {"twice, different", post_with("Content-Length: 5\r\ncontent-length: 6\r\n", "hello"), {400}, After::closed},
       {"of a GET, malformed", get_with("Content-Length: x\r\n"), {400}, After::closed}});
}

TEST_CASE("Transfer-Encoding is chunked, once, and without Content-Length", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(
      server,
      {{"chunked", with_coding("chunked"), {200}, After::kept, "hello"},
       {"upper case", with_coding("CHUNKED"), {200}, After::kept, "hello"},
       {"blanks around it", with_coding(" chunked \t"), {200}, After::kept, "hello"},
       {"length first",
        post_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        {400},
        After::closed},
       {"length second",
        post_with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        {400},
        After::closed},
       {"twice in a list", with_coding("chunked, chunked"), {400}, After::closed},
       {"twice in two fields",
        post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        {400},
        After::closed},
       {"two fields, the second unknown",
        post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"),
        {400},
        After::closed},
       {"not last", with_coding("chunked, gzip"), {400}, After::closed},
       {"behind another coding", with_coding("gzip, chunked"), {501}, After::closed},
       {"another coding alone", with_coding("gzip"), {400}, After::closed},
       {"identity", with_coding("identity"), {400}, After::closed},
       {"xchunked", with_coding("xchunked"), {400}, After::closed},
       {"chunkedx", with_coding("chunkedx"), {400}, After::closed},
       {"quoted", with_coding("\"chunked\""), {400}, After::closed},
       {"a parameter", with_coding("chunked;q=1"), {400}, After::closed},
       {"empty", with_coding(""), {400}, After::closed},
       {"an empty element", with_coding(", chunked"), {501}, After::closed},
       {"vertical tab before it",
        with_coding("\x0b"
                    "chunked"),
        {400},
        After::closed},
       {"blank before the colon", post_with("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), {400}, After::closed},
       {"in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}, After::closed}});
}

TEST_CASE("chunks are read exactly", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(
      server,
      {{"one", post_chunked("5\r\nhello\r\n0\r\n\r\n"), {200}, After::kept, "hello"},
       {"two", post_chunked("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), {200}, After::kept, "hello"},
       {"none", post_chunked("0\r\n\r\n"), {200}, After::kept, ""},
       {"hexadecimal in capitals", post_chunked("A\r\n0123456789\r\n0\r\n\r\n"), {200}, After::kept, "0123456789"},
       {"hexadecimal in small letters", post_chunked("a\r\n0123456789\r\n0\r\n\r\n"), {200}, After::kept, "0123456789"},
       {"leading zeros", post_chunked("0005\r\nhello\r\n000\r\n\r\n"), {200}, After::kept, "hello"},
       {"extension", post_chunked("5;a=b\r\nhello\r\n0;c\r\n\r\n"), {200}, After::kept, "hello"},
       {"quoted extension", post_chunked("5;a=\"b c\"\r\nhello\r\n0\r\n\r\n"), {200}, After::kept, "hello"},
       {"trailer", post_chunked("5\r\nhello\r\n0\r\nX: a\r\n\r\n"), {200}, After::kept, "hello"},
       {"a body that looks like chunks",
        post_chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        {200},
        After::kept,
        "0\r\n\r\n"}});
}

TEST_CASE("malformed chunks are answered 400", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(
      server,
      {{"no size", post_chunked("\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"not hexadecimal", post_chunked("g\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"0x", post_chunked("0x5\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"plus", post_chunked("+5\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"minus", post_chunked("-5\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"blank first", post_chunked(" 5\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"blank behind", post_chunked("5 \r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"17 digits", post_chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"64 digits", post_chunked(std::string(63, '0') + "5\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"longer than it says", post_chunked("5\r\nhelloX\r\n0\r\n\r\n"), {400}, After::closed},
       {"shorter than it says", post_chunked("6\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"bare LF behind the size", post_chunked("5\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"bare CR behind the size", post_chunked("5\rhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"bare LF behind the data", post_chunked("5\r\nhello\n0\r\n\r\n"), {400}, After::closed},
       {"bare LF in an extension", post_chunked("5;a\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"bare CR in an extension", post_chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), {400}, After::closed},
       {"NUL in an extension", post_chunked(std::string("5;a\0\r\nhello\r\n0\r\n\r\n", 19)), {400}, After::closed},
       {"bare LF at the very end", post_chunked("5\r\nhello\r\n0\r\n\n"), {400}, After::closed},
       {"bare LF behind the last size", post_chunked("5\r\nhello\r\n0\n\r\n"), {400}, After::closed},
       {"trailer without a colon", post_chunked("5\r\nhello\r\n0\r\nX\r\n\r\n"), {400}, After::closed},
       {"blank before a trailer's colon", post_chunked("5\r\nhello\r\n0\r\nX : a\r\n\r\n"), {400}, After::closed},
       {"folded trailer", post_chunked("5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"), {400}, After::closed}});
}
