// The parser alone, fed in pieces of every size: the parts do not depend on how the network splits the body.
#include "worker/forms/multipart_parser.h"

#include <string>
#include <vector>

#include "support/catch.h"

using pronghorn::MultipartLimits;
using pronghorn::worker::boundary_of;
using pronghorn::worker::MultipartParser;
using State = MultipartParser::State;

namespace {

struct ParsedPart {
  std::string name;
  std::string filename;  // "-": none
  std::string type;
  std::string content;
  bool ended = false;
  bool operator==(const ParsedPart&) const = default;
};

struct Parsed {
  std::vector<ParsedPart> parts;
  State state = State::needs_more;
  bool complete = false;
  std::string reason;
};

Parsed parse(std::string_view input, std::size_t piece, const MultipartLimits& limits = {},
             std::string_view boundary = "XX") {
  MultipartParser parser(boundary, limits);
  Parsed parsed;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    // In memory of its own, so that a sanitizer sees a view that is used for too long.
    const std::string chunk(input.substr(at, piece));
    std::string_view rest = chunk;
    for (;;) {
      const auto step = parser.next(rest);
      rest.remove_prefix(step.consumed);
      parsed.state = step.state;
      if (step.state == State::needs_more) break;
      if (step.state == State::malformed || step.state == State::too_large) {
        parsed.reason = parser.reason();
        return parsed;
      }
      if (step.state == State::part) {
        auto head = parser.take_part();
        parsed.parts.push_back({head.name, head.filename.value_or("-"), head.content_type, "", false});
      }
      if (step.state == State::data) {
        CHECK_FALSE(step.data.empty());
        parsed.parts.back().content += step.data;
      }
      if (step.state == State::part_end) parsed.parts.back().ended = true;
    }
    CHECK(rest.empty());
  }
  parsed.complete = parser.complete();
  return parsed;
}

State outcome(std::string_view input, const MultipartLimits& limits = {}) {
  const State whole = parse(input, input.size(), limits).state;
  CHECK(parse(input, 1, limits).state == whole);
  return whole;
}

std::string field(std::string_view name, std::string_view content) {
  return "--XX\r\nContent-Disposition: form-data; name=\"" + std::string(name) + "\"\r\n\r\n" + std::string(content) +
         "\r\n";
}

std::string with_head(std::string_view head) { return "--XX\r\n" + std::string(head) + "\r\nx\r\n--XX--\r\n"; }

const std::string kEnd = "--XX--\r\n";

}  // namespace

TEST_CASE("a form is the same in one piece and in pieces of any size", "[http][multipart]") {
  const std::string binary = std::string(1, '\0') + "\r\n--X\r\n--\r\r\n--XY\r\n\r\n";
  const std::string body = "a preamble\r\n--X\r\n" + field("title", "Grüße") + field("empty", "") +
                           "--XX\r\ncontent-type: image/png\r\nX-More: 1\r\n"
                           "CONTENT-DISPOSITION: form-data; name=f; filename=\"a.png\"\r\n\r\n" +
                           binary + "\r\n--XX-- \r\nan epilogue\r\n--XX\r\n";
  const std::vector<ParsedPart> expected{
      {"title", "-", "", "Grüße", true}, {"empty", "-", "", "", true}, {"f", "a.png", "image/png", binary, true}};
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    CAPTURE(piece);
    const Parsed parsed = parse(body, piece);
    CHECK(parsed.parts == expected);
    CHECK(parsed.complete);
  }
}

TEST_CASE("content that is almost the boundary is content", "[http][multipart]") {
  for (const std::string_view content : {"\r", "\r\n", "\r\n-", "\r\n--", "\r\n--X", "\r\r\n--X", "\r\n--X\r\n--X",
                                         "\n--XX", "\r--XX", "--X", "-", "\r\n\r\n\r\n"}) {
    CAPTURE(content);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{1000}}) {
      const Parsed parsed = parse(field("a", content) + kEnd, piece);
      REQUIRE(parsed.parts.size() == 1);
      CHECK(parsed.parts[0].content == content);
      CHECK(parsed.complete);
    }
  }
}

TEST_CASE("a part may have no content at all, not even an empty line of its own", "[http][multipart]") {
  const std::string body = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n" + field("b", "1") + kEnd;
  for (const std::size_t piece : {std::size_t{1}, body.size()}) {
    const Parsed parsed = parse(body, piece);
    REQUIRE(parsed.parts.size() == 2);
    CHECK(parsed.parts[0] == ParsedPart{"a", "-", "", "", true});
    CHECK(parsed.parts[1].content == "1");
  }
}

TEST_CASE("a form without parts is complete", "[http][multipart]") {
  CHECK(parse("--XX--", 1).complete);
  CHECK(parse("--XX--\r\n", 3).complete);
  CHECK(parse("preamble\r\n--XX--\r\nepilogue", 4).complete);
}

TEST_CASE("a form that ends early is not complete", "[http][multipart]") {
  const std::string body = field("a", "1") + "--XX--";
  CHECK(parse(body, body.size()).complete);
  for (std::size_t size = 0; size < body.size(); ++size) CHECK_FALSE(parse(body.substr(0, size), 7).complete);
  CHECK_FALSE(parse("", 1).complete);
}

TEST_CASE("what two readers could understand differently is malformed", "[http][multipart]") {
  const std::string disposition = "Content-Disposition: form-data; name=a";
  for (const std::string& body : {
           std::string("--XX\nContent-Disposition: form-data; name=a\n\nx\n--XX--"),  // bare LF
           std::string("--XXY\r\n"),                                                  // a longer boundary
           field("a", "1") + "--XXY\r\n",
           field("a", "1") + "--XX-\r\n",
           field("a", "1") + "--XX--X",
           field("a", "1") + "--XX--\rX",
           with_head(disposition + "\r\n \t\r\n"),  // a line of blanks alone
           with_head(" " + disposition + "\r\n"),   // nothing to continue
           with_head("Content-Disposition\r\n : form-data; name=a\r\n"),
           with_head(disposition + "\r\n folded\r\n"),  // one value, "a folded"
           with_head(disposition + "\nX: y\r\n"),
           with_head(disposition + "\rX\r\n"),
           with_head(disposition + std::string(1, '\0') + "\r\n"),
           with_head("Content-Disposition : form-data; name=a\r\n"),
           with_head("no colon\r\n"),
           with_head(": form-data\r\n"),
           with_head(""),
           with_head("X: y\r\n"),
           with_head(disposition + "\r\n" + disposition + "\r\n"),
           with_head(disposition + "; name=b\r\n"),
           with_head(disposition + "\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n"),
           with_head("Content-Disposition: attachment; name=a\r\n"),
           with_head("Content-Disposition: form-data\r\n"),
           with_head("Content-Disposition: form-data; filename=x\r\n"),
           with_head("Content-Disposition: form-data; name=\"a\r\n"),
           with_head(disposition + "\r\nContent-Transfer-Encoding: base64\r\n"),
       }) {
    CAPTURE(body);
    CHECK(outcome(body) == State::malformed);
    CHECK_FALSE(parse(body, 5).reason.empty());
  }
  CHECK(outcome(with_head(disposition + "\r\nContent-Transfer-Encoding: Binary\r\n")) == State::needs_more);
}

// RFC 5322 section 2.2.3, to which RFC 2046 section 5.1 refers. The parser said that such a part had no name.
TEST_CASE("a folded header field of a part is one field", "[http][multipart]") {
  const std::string body = with_head(
      "Content-Disposition: form-data;\r\n name=\"a\";\r\n\tfilename=\"one\r\n two.txt\"\r\nX:\r\n y\r\n"
      "Content-Type:\r\n text/plain\r\n");
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, body.size()}) {
    const Parsed parsed = parse(body, piece);
    REQUIRE(parsed.parts.size() == 1);
    CHECK(parsed.parts[0].name == "a");
    CHECK(parsed.parts[0].filename == "one two.txt");
    CHECK(parsed.parts[0].type == "text/plain");
    CHECK(parsed.complete);
  }
}

TEST_CASE("a failure stays", "[http][multipart]") {
  MultipartParser parser("XX", {});
  REQUIRE(parser.next("--XXY").state == State::malformed);
  CHECK(parser.next("").state == State::malformed);
  CHECK(parser.next(field("a", "1") + kEnd).state == State::malformed);
}

TEST_CASE("a filename is kept as the client sent it, a path too, and filename* is ignored", "[http][multipart]") {
  const auto filename = [](std::string_view sent) {
    const Parsed parsed =
        parse(with_head("Content-Disposition: form-data; name=a; " + std::string(sent) + "\r\n"), 1000);
    return parsed.parts.empty() ? "malformed" : parsed.parts[0].filename;
  };
  CHECK(filename(R"(filename="../../etc/passwd")") == "../../etc/passwd");
  CHECK(filename(R"(filename="C:\dir\new.txt")") == R"(C:\dir\new.txt)");
  CHECK(filename(R"(filename="say \"hi\"; %22.txt")") == R"(say "hi"; %22.txt)");
  CHECK(filename(R"(filename="")").empty());
  CHECK(filename("filename=\"\xe2\x82\xac.txt\"") == "\xe2\x82\xac.txt");
  CHECK(filename("filename*=UTF-8''%e2%82%ac.txt") == "-");
}

TEST_CASE("a form over a limit is too large, one at it is not", "[http][multipart]") {
  const std::string two = field("a", "12345") + field("b", "12345") + kEnd;
  CHECK(outcome(two, {.parts = 2, .field_bytes = 5}) == State::needs_more);
  CHECK(outcome(two, {.parts = 1}) == State::too_large);
  CHECK(outcome(two, {.field_bytes = 4}) == State::too_large);
  CHECK(outcome(two, {.parts = 0, .head_bytes = 0, .field_bytes = 0}) == State::needs_more);

  const std::string file = with_head("Content-Disposition: form-data; name=a; filename=b\r\n");
  CHECK(outcome(file, {.field_bytes = 0, .file_bytes = 1}) == State::needs_more);
  CHECK(outcome("--XX\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n12\r\n--XX--", {.file_bytes = 1}) ==
        State::too_large);

  const std::string line = "Content-Disposition: form-data; name=a\r\n";
  const auto head_limit = static_cast<std::uint32_t>(line.size() + 2);
  CHECK(outcome(with_head(line), {.head_bytes = head_limit}) == State::needs_more);
  CHECK(outcome(with_head(line), {.head_bytes = head_limit - 1}) == State::too_large);
  CHECK(outcome("--XX\r\n" + std::string(100'000, 'a')) == State::too_large);
}

TEST_CASE("a boundary is 1 to 70 of the characters of RFC 2046", "[http][multipart]") {
  CHECK(boundary_of("multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk") ==
        "----WebKitFormBoundary7MA4YWxk");
  CHECK(boundary_of("multipart/form-data; charset=utf-8; Boundary=\"a b:c/d\"") == "a b:c/d");
  CHECK(boundary_of("multipart/form-data; boundary=" + std::string(70, 'a')) == std::string(70, 'a'));
  CHECK_FALSE(boundary_of("multipart/form-data; boundary=" + std::string(71, 'a')));
  for (const std::string_view type :
       {"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"a \"", "multipart/form-data; boundary=\"a\\\"b\"",
        "multipart/form-data; boundary=a; boundary=b", "multipart/form-data; boundary=a*b"}) {
    CAPTURE(type);
    CHECK_FALSE(boundary_of(type));
  }
}
