#include <array>

#include "framing/websocket_cases.h"

namespace pronghorn::test {
namespace {

constexpr unsigned kContinuation = 0;
constexpr unsigned kText = 1;
constexpr unsigned kClose = 8;
constexpr FrameOptions kMore{.final = false};
const std::string kInvalid = "failure 1007";

// "κόσμε"
const std::string kKosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";

// Autobahn 6.5 to 6.23 (Markus Kuhn's UTF-8-test.txt).
std::vector<std::string> valid_texts() {
  std::vector<std::string> texts{
      "hello\x24world",
      "hello\xC2\xA2world",
      "hello\xE2\x82\xACworld",
      "hello\xF0\xA4\xAD\xA2world",
      kKosme,
      std::string(1, '\0'),
      "\xc2\x80",
      "\xe0\xa0\x80",
      "\xf0\x90\x80\x80",  // the first of each length
      "\x7f",
      "\xdf\xbf",
      "\xef\xbf\xbf",
      "\xf4\x8f\xbf\xbf",  // the last
      "\xed\x9f\xbf",
      "\xee\x80\x80",
      "\xef\xbf\xbd",  // around the surrogates
      "\xef\xbf\xb9",
      "\xef\xbf\xba",
      "\xef\xbf\xbb",
      "\xef\xbf\xbc",  // specials
  };
  for (const char lead : {'\xf0', '\xf1', '\xf2', '\xf3', '\xf4'}) {  // not characters, but code points
    for (const char second : {'\x8f', '\x9f', '\xaf', '\xbf'}) {
      const bool exists = lead == '\xf0' ? second != '\x8f' : lead != '\xf4' || second == '\x8f';
      if (exists) texts.push_back(std::string{lead, second, '\xbf', '\xbe'});
    }
  }
  return texts;
}

std::vector<std::string> invalid_texts() {
  std::vector<std::string> texts{
      "\xf8\x88\x80\x80\x80",
      "\xfc\x84\x80\x80\x80\x80",
      "\xf7\xbf\xbf\xbf",
      "\xfb\xbf\xbf\xbf\xbf",
      "\xfd\xbf\xbf\xbf\xbf\xbf",
      "\xf4\x90\x80\x80",
      // continuation bytes alone
      "\x80",
      "\xbf",
      "\x80\xbf",
      "\x80\xbf\x80",
      "\x80\xbf\x80\xbf",
      "\x80\xbf\x80\xbf\x80",
      // the last continuation byte is missing
      "\xc0",
      "\xe0\x80",
      "\xf0\x80\x80",
      "\xf8\x80\x80\x80",
      "\xfc\x80\x80\x80\x80",
      "\xdf",
      "\xef\xbf",
      "\xf7\xbf\xbf",
      "\xfb\xbf\xbf\xbf",
      "\xfd\xbf\xbf\xbf\xbf",
      "\xdf\xef\xbf\xf4\x8f\xbf",
      // never in UTF-8
      "\xfe",
      "\xff",
      "\xfe\xfe\xff\xff",
      // overlong forms
      "\xc0\xaf",
      "\xe0\x80\xaf",
      "\xf0\x80\x80\xaf",
      "\xf8\x80\x80\x80\xaf",
      "\xfc\x80\x80\x80\x80\xaf",
      "\xc1\xbf",
      "\xe0\x9f\xbf",
      "\xf0\x8f\xbf\xbf",
      "\xf8\x87\xbf\xbf\xbf",
      "\xfc\x83\xbf\xbf\xbf\xbf",
      "\xc0\x80",
      "\xe0\x80\x80",
      "\xf0\x80\x80\x80",
      // surrogates, alone and in pairs
      "\xed\xa0\x80",
      "\xed\xad\xbf",
      "\xed\xae\x80",
      "\xed\xaf\xbf",
      "\xed\xb0\x80",
      "\xed\xbe\x80",
      "\xed\xbf\xbf",
      "\xed\xa0\x80\xed\xb0\x80",
      "\xed\xa0\x80\xed\xbf\xbf",
      "\xed\xad\xbf\xed\xb0\x80",
      "\xed\xaf\xbf\xed\xbf\xbf",
  };
  // The first bytes of sequences, each followed by a blank.
  for (unsigned lead = 0xc0; lead < 0xfe; ++lead) texts.push_back({static_cast<char>(lead), ' '});
  for (std::size_t size = 1; size < kKosme.size(); ++size) {  // prefixes that end within a character
    if (size != 2 && size != 5 && size != 7 && size != 9) texts.push_back(kKosme.substr(0, size));
  }
  return texts;
}

void add_utf8_table(WebSocketCases& cases) {
  for (const std::string& valid : valid_texts()) {
    cases.push_back({"6.5 valid UTF-8", raw_frame(kText, valid), {"text " + valid}});
    cases.push_back({"6.5 valid UTF-8, byte by byte", raw_fragments(kText, valid, 1), {"text " + valid}});
    // At every place within the eight bytes that are checked at once.
    const std::string later = std::string(valid.size() % 8 + 13, 'a') + valid + std::string(9, 'b');
    cases.push_back({"6.5 valid UTF-8 later", raw_frame(kText, later), {"text " + later}});
  }
  for (const std::string& invalid : invalid_texts()) {
    cases.push_back({"6.6 invalid UTF-8", raw_frame(kText, invalid), {kInvalid}});
    cases.push_back({"6.6 invalid UTF-8, byte by byte", raw_fragments(kText, invalid, 1), {kInvalid}});
    const std::string later = std::string(invalid.size() % 8 + 13, 'a') + invalid;
    cases.push_back({"6.6 invalid UTF-8 later", raw_frame(kText, later), {kInvalid}});
  }
}

}  // namespace

WebSocketCases websocket_text_cases() {
  const std::string hello = "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!";
  const std::string bad = kKosme + "\xf4\x90\x80\x80" + "edited";  // invalid at byte 12, which is 0x90
  const std::size_t head = 6;
  WebSocketCases cases{
      {"6.1.1 empty", raw_frame(kText, ""), {"text "}},
      {"6.1.2 three empty fragments",
       raw_frame(kText, "", kMore) + raw_frame(kContinuation, "", kMore) + raw_frame(kContinuation, ""),
       {"text "}},
      {"6.1.3 two empty fragments",
       raw_frame(kText, "", kMore) + raw_frame(kContinuation, "middle", kMore) + raw_frame(kContinuation, ""),
       {"text middle"}},
      {"6.2.1 valid", raw_frame(kText, hello), {"text " + hello}},
      {"6.2.2 cut between characters", raw_fragments(kText, hello, 14), {"text " + hello}},
      {"6.2.3 byte by byte", raw_fragments(kText, hello, 1), {"text " + hello}},
      {"6.2.4 byte by byte", raw_fragments(kText, kKosme, 1), {"text " + kKosme}},
      {"6.3.1 surrogate", raw_frame(kText, kKosme + "\xed\xa0\x80" + "edited"), {kInvalid}, head + 13},
      {"6.3.2 surrogate, byte by byte",
       raw_fragments(kText, kKosme + "\xed\xa0\x80" + "edited", 1),
       {kInvalid},
       13 * 7},
      {"6.4.1 known in the second frame",
       raw_frame(kText, kKosme, kMore) + raw_frame(kContinuation, bad.substr(11, 4), kMore) +
           raw_frame(kContinuation, "edited"),
       {kInvalid},
       head + 11 + head + 2},
      {"6.4.2 known at the first byte of the second frame",
       raw_frame(kText, bad.substr(0, 12), kMore) + raw_frame(kContinuation, bad.substr(12, 1), kMore) +
           raw_frame(kContinuation, "edited"),
       {kInvalid},
       head + 12 + head + 1},
      {"6.4.3 known within the frame", raw_frame(kText, bad), {kInvalid}, head + 13},
      {"a character that never ends",
       raw_frame(kText, "abc\xe2\x82", kMore) + raw_frame(kContinuation, ""),
       {kInvalid}},
      {"a ping within a character",
       raw_frame(kText, "\xe2\x82", kMore) + raw_frame(9, "\xff") + raw_frame(kContinuation, "\xac"),
       {"ping \xff", "text \xe2\x82\xac"}},
      {"binary need not be UTF-8", raw_frame(2, bad), {"binary " + bad}},
      {"the next text begins anew", raw_frame(kText, kKosme) + raw_frame(kText, "\xb5"), {"text " + kKosme, kInvalid}},
  };
  add_utf8_table(cases);
  return cases;
}

std::string raw_close(unsigned code, std::string_view reason) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 255)};
  return raw_frame(kClose, payload.append(reason));
}

WebSocketCases websocket_close_cases() {
  const std::string hello = "Hello World!";
  const std::string ping = raw_frame(9, "");
  const std::string refused = "failure 1002";
  const std::string most(123, '*');
  WebSocketCases cases{
      {"7.1.1 after a message", raw_frame(kText, hello) + raw_close(1000), {"text " + hello, "close 1000 "}},
      {"7.1.2 twice", raw_close(1000) + raw_frame(kClose, ""), {"close 1000 "}},
      {"7.1.3 ping after it", raw_close(1000) + ping, {"close 1000 "}},
      {"7.1.4 message after it", raw_close(1000) + raw_frame(kText, hello), {"close 1000 "}},
      {"7.1.5 within a message",
       raw_frame(kText, "fragment1", kMore) + raw_close(1000) + raw_frame(kContinuation, "fragment2"),
       {"close 1000 "}},
      {"7.1.6 after a long message, and a ping after it",
       raw_frame(kText, std::string(1000, '*')) + raw_close(1000) + ping,
       {"text " + std::string(1000, '*'), "close 1000 "}},
      {"anything after it", raw_close(1000) + "\xff\xff\xff garbage", {"close 1000 "}},
      {"7.3.1 without code", raw_frame(kClose, ""), {"close 1005 "}},
      {"7.3.2 half a code", raw_frame(kClose, "a"), {refused}},
      {"7.3.3 with a code", raw_close(1000), {"close 1000 "}},
      {"7.3.4 with a reason", raw_close(1000, hello), {"close 1000 " + hello}},
      {"7.3.5 with the longest reason", raw_close(1000, most), {"close 1000 " + most}},
      {"7.3.6 with a reason that is too long", raw_close(1000, most + "*"), {refused}, 2},
      {"7.5.1 with a reason that is not UTF-8", raw_close(1000, kKosme + "\xed\xa0\x80"), {kInvalid}},
      {"with a reason that ends within a character", raw_close(1000, "\xe2\x82"), {kInvalid}},
  };
  for (const unsigned code :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    cases.push_back({"7.7 valid code", raw_close(code), {"close " + std::to_string(code) + " "}});
  }
  for (const unsigned code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    cases.push_back({"7.9, 7.13 invalid code", raw_close(code), {refused}});
    cases.push_back({"7.9, 7.13 invalid code and a reason", raw_close(code, "why"), {refused}});
  }
  return cases;
}

}  // namespace pronghorn::test
