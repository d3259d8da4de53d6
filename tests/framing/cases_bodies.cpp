// Where a body ends: Content-Length and Transfer-Encoding (RFC 9112 section 6), the place where requests are smuggled.
#include "framing/framing_cases.h"

namespace pronghorn::test {

namespace {

using namespace std::string_literals;

const std::string kHidden = "GET /json HTTP/1.1\r\nHost: a\r\n\r\n";  // must not be answered

std::string with_length(const std::string& value) { return post_with("Content-Length: " + value + "\r\n", "hello"); }
std::string with_coding(const std::string& value) {
  return post_with("Transfer-Encoding: " + value + "\r\n", "5\r\nhello\r\n0\r\n\r\n");
}

}  // namespace

FramingCases content_length_cases() {
  FramingCases cases{
      {"5", with_length("5"), {200}, After::kept, "hello"},
      {"leading zeros", with_length("005"), {200}, After::kept, "hello"},
      {"blanks around it", with_length("  5  "), {200}, After::kept, "hello"},
      {"a tab behind it", with_length("5\t"), {200}, After::kept, "hello"},
      {"tabs and blanks around it", with_length("\t \t5 \t "), {200}, After::kept, "hello"},
      {"only tabs around it", post_with("Content-Length:\t5\t\r\n", "hello"), {200}, After::kept, "hello"},
      {"many leading zeros", with_length(std::string(300, '0') + "5"), {200}, After::kept, "hello"},
      {"no blank", post_with("Content-Length:5\r\n", "hello"), {200}, After::kept, "hello"},
      {"name in capitals", post_with("CONTENT-LENGTH: 5\r\n", "hello"), {200}, After::kept, "hello"},
      {"0", post_with("Content-Length: 0\r\n", ""), {200}, After::kept, ""},
      {"none", post_with("", ""), {200}, After::kept, ""},
      {"HTTP/1.0", "POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", {200}, After::closed, "hello"},
      {"HTTP/1.0, none", "POST /echo HTTP/1.0\r\n\r\n", {200}, After::closed, ""},
      {"of a GET, skipped", "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", {200}},
      {"a body with every byte that could end it",
       post_with("Content-Length: 9\r\n", "\r\n\r\n0\r\n\r\n"),
       {200},
       After::kept,
       "\r\n\r\n0\r\n\r\n"},
      {"a body with NUL", post_with("Content-Length: 3\r\n", "a\000b"s), {200}, After::kept, "a\000b"s},
      refused("twice the same", post_with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
      refused("twice, different", post_with("Content-Length: 5\r\ncontent-length: 6\r\n", "hello")),
      refused("twice, the first empty", post_with("Content-Length:\r\nContent-Length: 5\r\n", "hello")),
      refused("twice, with a field between", post_with("Content-Length: 5\r\nX: y\r\nContent-Length: 0\r\n", "hello")),
      refused("of a GET, malformed", get_with("Content-Length: x\r\n")),
      refused("in HTTP/1.0, malformed", "POST /echo HTTP/1.0\r\nContent-Length: +5\r\n\r\nhello"),
  };
  for (const std::string& value : {""s,
                                   "+5"s,
                                   "-5"s,
                                   "-0"s,
                                   "0x5"s,
                                   "5a"s,
                                   "a5"s,
                                   "5e0"s,
                                   "5.0"s,
                                   "5_0"s,
                                   "5 5"s,
                                   "5\t5"s,
                                   "5, 5"s,
                                   "5,5"s,
                                   "5, 6"s,
                                   "5,"s,
                                   ",5"s,
                                   "5;5"s,
                                   "\"5\""s,
                                   "'5'"s,
                                   "(5)"s,
                                   "5\271"s,
                                   "\302\2625"s,
                                   "\357\274\225"s,
                                   "four"s,
                                   "NaN"s,
                                   "infinity"s,
                                   "chunked"s,
                                   "99999999999999999999"s,
                                   "9223372036854775808"s,
                                   "18446744073709551616"s,
                                   "18446744073709551621"s,
                                   "4294967301 "s + "x"s,
                                   std::string(40, '9'),
                                   "0 5"s}) {
    cases.push_back(refused("\"" + value + "\"", with_length(value)));
  }
  return cases;
}

FramingCases transfer_encoding_cases() {
  FramingCases cases{
      {"chunked", with_coding("chunked"), {200}, After::kept, "hello"},
      {"upper case", with_coding("CHUNKED"), {200}, After::kept, "hello"},
      {"blanks around it", with_coding(" chunked \t"), {200}, After::kept, "hello"},
      {"a tab before it",
       post_with("Transfer-Encoding:\tchunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
       {200},
       After::kept,
       "hello"},
      {"name in mixed case",
       post_with("tRANSFER-eNCODING:chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
       {200},
       After::kept,
       "hello"},
      {"of a GET, skipped", get_with("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n", {200}},
      refused("twice in two fields",
              post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
      refused("two fields, the second unknown",
              post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n")),
      refused("two fields, the first unknown",
              post_with("Transfer-Encoding: x\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n")),
      refused("two fields, the second empty",
              post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", "0\r\n\r\n")),
      refused("in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      refused("in HTTP/1.0, kept alive",
              "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      refused("in HTTP/1.0, with a length",
              "POST /echo HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      refused("another coding in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n"),
      refused("of a GET, unknown", get_with("Transfer-Encoding: x\r\n")),
      refused("behind gzip", with_coding("gzip, chunked"), 501),
      refused("behind identity", with_coding("identity, chunked"), 501),
      refused("behind two codings", with_coding("deflate,gzip,chunked"), 501),
  };
  for (const char* value : {"",
                            ",",
                            "chunked, chunked",
                            "chunked,chunked,chunked",
                            "gzip, chunked, chunked",
                            "chunked, gzip",
                            "chunked, identity",
                            "chunked,",
                            ", chunked",
                            ",,chunked",
                            "gzip,,chunked",
                            "gzip",
                            "identity",
                            "xchunked",
                            "chunkedx",
                            "chunke",
                            "chunk",
                            "chunked chunked",
                            "x chunked",
                            "chunked x",
                            "chunked;q=1",
                            "chunked;",
                            "\"chunked\"",
                            "'chunked'",
                            "[chunked]",
                            "chun\tked",
                            "chunked\t x",
                            "\240chunked",
                            "chunked\240",
                            "chunked\377",
                            "chun\302\255ked",
                            "\342\204\252chunked",
                            "=?utf-8?q?chunked?="}) {
    cases.push_back(refused("\"" + std::string(value) + "\"", with_coding(value)));
  }
  return cases;
}

// Two implementations could read each of these as different messages.
FramingCases smuggling_cases() {
  FramingCases cases{
      refused("CL.TE",
              post_with("Content-Length: " + std::to_string(5 + kHidden.size()) + "\r\nTransfer-Encoding: chunked\r\n",
                        "0\r\n\r\n" + kHidden)),
      refused("TE.CL",
              post_with("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "1f\r\n" + kHidden + "\r\n0\r\n\r\n")),
      refused("CL.TE with a length of 0", post_with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", kHidden)),
      refused("CL.TE that agree",
              post_with("Content-Length: 15\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")),
      refused("CL.TE of a GET",
              get_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + kHidden),
      refused("CL.TE, the length malformed",
              post_with("Content-Length: x\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + kHidden)),
      refused("CL.TE, an unknown coding",
              post_with("Content-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n", "hello" + kHidden)),
      refused("CL.CL",
              post_with("Content-Length: 0\r\nContent-Length: " + std::to_string(kHidden.size()) + "\r\n", kHidden)),
      {"CL.0: a body that a GET hides",
       get_with("Content-Length: " + std::to_string(kHidden.size()) + "\r\n") + kHidden,
       {200},
       After::kept,
       "Hello, World!"},
      {"a body that looks like a request",
       post_with("Content-Length: " + std::to_string(kHidden.size()) + "\r\n", kHidden),
       {200},
       After::kept,
       kHidden},
      {"the coding in other fields",
       post_with("Content-Encoding: chunked\r\nTE: chunked\r\nX-Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                 "hello"),
       {200},
       After::kept,
       "hello"},
      {"an underscore for the dash",
       post_with("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "hello"),
       {200},
       After::kept,
       "hello"},
      {"fields in the body", post_with("", "") + get_with("Transfer-Encodin: chunked\r\n"), {200, 200}},
  };
  // TE.TE: one of two implementations does not see the coding, and goes by the length.
  for (const std::string& field : {
           "Transfer-Encoding : chunked"s,
           "Transfer-Encoding\t: chunked"s,
           " Transfer-Encoding: chunked"s,
           "\tTransfer-Encoding: chunked"s,
           "Transfer-Encoding\r\n: chunked"s,
           "Transfer-Encoding:\r\n chunked"s,
           "Transfer-Encoding:\n chunked"s,
           "Transfer-Encoding:\rchunked"s,
           "X: a\nTransfer-Encoding: chunked"s,
           "X: a\rTransfer-Encoding: chunked"s,
           "X: a\r\r\nTransfer-Encoding: chunked"s,
           "X:\r\n Transfer-Encoding: chunked"s,
           "Transfer-Encoding: \000chunked"s,
           "Transfer-Encoding: chunked\000"s,
           "Transfer-Encoding\000: chunked"s,
           "\000Transfer-Encoding: chunked"s,
           "Transfer-Encoding: \013chunked"s,
           "Transfer-Encoding: \014chunked"s,
           "Transfer-Encoding: chunked\013"s,
           "Transfer-Encoding: \240chunked"s,
           "Transfer-Encoding: \377chunked"s,
           "Transfer Encoding: chunked"s,
           "Transfer-Encoding chunked"s,
           "Transfer-Encoding=chunked"s,
           "Transfer-Encoding;: chunked"s,
           "\"Transfer-Encoding\": chunked"s,
           "Transfer\255Encoding: chunked"s,
           "Transfer-Encoding: chunked, identity"s,
           "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"s,
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"s,
           "Transfer-Encoding: cow"s,
           "Transfer-Encoding: xchunked"s,
           "Transfer-Encoding:: chunked"s,
           "Transfer-Encoding: \"chunked\""s,
           "Transfer-Encoding:"s,
       }) {
    cases.push_back(refused("TE.TE: " + field, post_with(field + "\r\nContent-Length: 5\r\n", "0\r\n\r\n" + kHidden)));
  }
  return cases;
}

}  // namespace pronghorn::test
