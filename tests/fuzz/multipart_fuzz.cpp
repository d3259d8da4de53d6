// multipart/form-data. Input: the Content-Type in a line, then the body.
#include <algorithm>
#include <optional>

#include "fuzz/fuzz_target.h"
#include "worker/fields/characters.h"
#include "worker/forms/multipart_parser.h"

namespace pronghorn::fuzz::multipart {

namespace {

using worker::MultipartParser;
using State = MultipartParser::State;

constexpr MultipartLimits kNoLimits{.parts = 0, .head_bytes = 0, .field_bytes = 0, .file_bytes = 0};
constexpr MultipartLimits kSmall{.parts = 3, .head_bytes = 80, .field_bytes = 16, .file_bytes = 40};

struct ParsedPart {
  worker::PartHead head;
  std::string content;
  bool ended = false;
};

struct Parsed {
  std::vector<ParsedPart> parts;
  State state = State::needs_more;
  std::string reason;  // of a failure
  bool complete = false;
};

bool has_failed(State state) { return state == State::malformed || state == State::too_large; }

void take(MultipartParser& parser, const MultipartParser::Step& step, std::vector<ParsedPart>& parts) {
  const bool within = !parts.empty() && !parts.back().ended;
  require(within || step.state == State::part, "content belongs to a part");
  if (step.state == State::part) {
    require(!within, "a part begins after the one before it");
    parts.push_back({parser.take_part(), {}});
  } else if (step.state == State::data) {
    require(!step.data.empty(), "a piece of content is never empty");
    parts.back().content += step.data;
  } else {
    parts.back().ended = true;
  }
}

template <class Cut>
Parsed parse(const std::string& boundary, const MultipartLimits& limits, Cut cut) {
  MultipartParser parser(boundary, limits);
  Parsed parsed;
  while (!cut.empty() && !has_failed(parsed.state)) {
    const std::string piece(cut.next());  // a copy, so that the sanitizer sees a view that is used too long
    std::string_view rest = piece;
    do {
      const MultipartParser::Step step = parser.next(rest);
      require(step.consumed <= rest.size(), "no more is used than there is");
      rest.remove_prefix(step.consumed);
      parsed.state = step.state;
      if (!has_failed(step.state) && step.state != State::needs_more) take(parser, step, parsed.parts);
    } while (!has_failed(parsed.state) && parsed.state != State::needs_more);
    require(has_failed(parsed.state) || rest.empty(), "who needs more has used all");
  }
  parsed.complete = parser.complete();
  if (!has_failed(parsed.state)) return parsed;
  parsed.reason = parser.reason();
  require(!parsed.complete && !parsed.reason.empty(), "a failure has its reason");
  require(parser.next("\r\n").state == parsed.state && parser.reason() == parsed.reason, "a failure stays");
  return parsed;
}

bool same_head(const worker::PartHead& a, const worker::PartHead& b) {
  return a.name == b.name && a.filename == b.filename && a.content_type == b.content_type;
}

void require_same(const Parsed& a, const Parsed& b) {
  require(a.state == b.state && a.reason == b.reason && a.complete == b.complete, "two readings end in one way");
  require(a.parts.size() == b.parts.size(), "two readings find as many parts");
  for (std::size_t i = 0; i < a.parts.size(); ++i) {
    const ParsedPart& one = a.parts[i];
    const ParsedPart& other = b.parts[i];
    require(same_head(one.head, other.head) && one.ended == other.ended, "two readings find the same parts");
    // How much of content that is too large is delivered before the limit depends on the pieces.
    const bool cut_off = a.state == State::too_large && !one.ended;
    require(cut_off ? one.content.starts_with(other.content) || other.content.starts_with(one.content)
                    : one.content == other.content,
            "two readings find the same content");
  }
}

void check_parts(const Parsed& parsed, const std::string& boundary, const MultipartLimits& limits) {
  require(limits.parts == 0 || parsed.parts.size() <= limits.parts, "there are no more parts than allowed");
  for (const ParsedPart& part : parsed.parts) {
    const worker::PartHead& head = part.head;
    require(worker::is_field_value(head.name) && worker::is_field_value(head.filename.value_or("")) &&
                worker::is_field_value(head.content_type),
            "no control character is handed on");
    const std::uint64_t limit = head.filename ? limits.file_bytes : limits.field_bytes;
    require(limit == 0 || part.content.size() <= limit, "content is no larger than allowed");
    require(limits.head_bytes == 0 || head.name.size() + head.content_type.size() < limits.head_bytes,
            "a head is no larger than allowed");
    require(("\r\n" + part.content).find("\r\n--" + boundary) == std::string::npos, "no boundary is content");
  }
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string write(const std::vector<ParsedPart>& parts, const std::string& boundary) {
  std::string body;
  for (const ParsedPart& part : parts) {
    body += "--" + boundary + "\r\nContent-Disposition: form-data; name=" + quoted(part.head.name);
    if (part.head.filename) body += "; filename=" + quoted(*part.head.filename);
    body += "\r\nContent-Type: " + part.head.content_type + "\r\n\r\n" + part.content + "\r\n";
  }
  return body + "--" + boundary + "--\r\n";
}

}  // namespace

static void fuzz(std::string_view input) {
  const std::string_view type = take_line(input);
  const auto boundary = worker::boundary_of(type);
  if (!boundary) return;
  require(!boundary->empty() && boundary->size() <= 70, "a boundary has 1 to 70 characters");
  for (const MultipartLimits& limits : {kNoLimits, kSmall}) {
    const Parsed whole = parse(*boundary, limits, OnePiece(input));
    check_parts(whole, *boundary, limits);
    const Parsed pieces = parse(*boundary, limits, Pieces(input));
    check_parts(pieces, *boundary, limits);
    require_same(whole, pieces);
    if (!whole.complete) continue;
    require(std::ranges::all_of(whole.parts, &ParsedPart::ended), "a form that is complete has complete parts");
    Parsed again = parse(*boundary, kNoLimits, OnePiece(write(whole.parts, *boundary)));
    again.state = whole.state;
    require_same(whole, again);
  }
}

static std::vector<std::string> seeds() {
  const std::string type = "multipart/form-data; boundary=XX\n";
  const std::string field = "Content-Disposition: form-data; name=\"a\"\r\n";
  const std::string file = "Content-Disposition: form-data; name=f; filename=\"b \\\"c\\\".txt\"\r\n";
  const std::string end = "\r\n--XX--\r\n";
  std::vector<std::string> inputs = {
      type + "--XX\r\n" + field + "\r\nhello" + end,
      type + "--XX\r\n" + file + "Content-Type: text/plain\r\n\r\nhello" + end,
      type + "--XX\r\n" + field + "\r\n1\r\n--XX\r\n" + file + "\r\n2" + end,
      type + "preamble\r\n--XX \t\r\n" + field + "\r\n" + end + "epilogue",
      type + "--XX\r\n" + field + "\r\n--XX--",                               // no content
      type + "--XX\r\n" + field + "\r\n\r\n--X\r\n--\r\r\n--XY\r\n\r" + end,  // nearly boundaries
      type + "--XX\r\n" + field + "\r\n" + std::string(17, 'a') + end,
      type + "--XX\r\n" + file + "\r\n" + std::string(41, 'a') + end,
      type + "--XX\r\n" + field + "X: " + std::string(80, 'a') + "\r\n\r\n" + end,
      type + "--XX\r\n" + field + field + "\r\n" + end,
      type + "--XX\r\nContent-Disposition: form-data;\r\n name=\"a\r\n\tb\"\r\nX:\r\n y\r\n\r\n" + end,
      type + "--XX\r\n" + field + " \r\n\r\n" + end,
      type + "--XX\r\n\r\n" + end,
      type + "--XX\r\nContent-Disposition: form-data; name=a; filename=\"\"; filename*=UTF-8''b\r\n\r\n" + end,
      type + "--XX\r\nContent-Disposition: form-data; name=\"a\\b\\\\\"\r\n\r\n" + end,
      type + "--XX\r\n" + field + "Content-Transfer-Encoding: base64\r\n\r\n" + end,
      type + "--XX\r\n" + field + "Content-Transfer-Encoding: 8bit\r\n\r\n" + end,
      type + "--XX\n" + field + "\r\n" + end,
      type + "--XXY\r\n" + field + "\r\n" + end,
      type + "--XX-\r\n",
      type + "--XX--",
      type + "--XX--\r",
      type + "--XX-- \r\nmore\r\n--XX\r\n",
      type + "--XX\r\n" + field + "\r\nno end",
      "multipart/form-data; boundary=\"a b'()+_,-./:=?\"\n--a b'()+_,-./:=?\r\n" + field +
          "\r\n\r\n--a b'()+_,-./:=?--",
      "multipart/form-data; boundary=-\n---\r\n" + field + "\r\nx\r\n-----",
      "multipart/form-data; boundary=\"\"\n--\r\n",
      "multipart/form-data; boundary=" + std::string(71, 'x') + "\n--",
      "multipart/form-data\n--XX\r\n",
  };
  std::string many = type;
  for (int i = 0; i < 5; ++i) many += "--XX\r\n" + field + "\r\nhello\r\n";
  inputs.push_back(many + "--XX--");
  return inputs;
}

static const Registered kRegistered({"multipart", fuzz, seeds});

}  // namespace pronghorn::fuzz::multipart
