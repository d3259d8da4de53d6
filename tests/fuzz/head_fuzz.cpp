// The head of a request: where it ends (scan_head) and what it says (parse_head).
#include <algorithm>
#include <memory>
#include <span>

#include "framing/framing_cases.h"
#include "fuzz/fuzz_target.h"
#include "worker/fields/characters.h"
#include "worker/fields/text.h"
#include "worker/http1/parser/head_fields.h"
#include "worker/http1/parser/head_guard.h"
#include "worker/http1/parser/head_parser.h"

namespace pronghorn::fuzz::head {

namespace {

using worker::Header;
using worker::HeadScan;
using worker::RequestHead;

HeadScan scan_pieces(std::string_view input) {
  HeadScan scan{HeadScan::State::incomplete, 0, std::string_view::npos};
  std::size_t size = 0;
  for (Pieces pieces(input); scan.state == HeadScan::State::incomplete && !pieces.empty();) {
    size += pieces.next().size();
    scan = worker::scan_head(input.substr(0, size), scan.position, scan.first_line);
  }
  return scan;
}

void check_scan(std::string_view input, const HeadScan& whole) {
  const HeadScan pieces = scan_pieces(input);
  require(pieces.state == whole.state, "a head is the same in one piece and in many");
  if (whole.state != HeadScan::State::complete) return;
  require(pieces.position == whole.position && pieces.first_line == whole.first_line, "a head ends at one place");
  const std::string_view head = input.substr(0, whole.position);
  require(head.ends_with("\r\n\r\n") && head.find("\r\n\r\n") == head.size() - 4, "a head has one empty line");
  for (const char c : head) {
    const auto byte = static_cast<unsigned char>(c);
    require((byte >= 0x20 && byte != 0x7f) || c == '\t' || c == '\r' || c == '\n', "no control character passes");
  }
}

std::size_t count(const RequestHead& head, std::string_view name) {
  const std::span fields(head.fields.data(), head.field_count);
  return static_cast<std::size_t>(std::ranges::count_if(
      fields, [name](const Header& field) { return worker::equal_ignoring_case(field.name, name); }));
}

void check_framing(const RequestHead& head) {
  const std::size_t codings = count(head, "transfer-encoding");
  const std::size_t lengths = count(head, "content-length");
  require(codings + lengths <= 1, "a body is framed in one way");
  require(head.chunked == (codings == 1), "a coding that passes is chunked");
  require(head.content_length.has_value() == (lengths == 1), "a length that passes is a number");
  require(count(head, "host") == 1 || (count(head, "host") == 0 && head.minor_version == 0), "a request has one host");
  require(head.minor_version == 1 || (!head.chunked && !head.expect_continue), "HTTP/1.0 has no chunks");
}

void check_head(std::string_view bytes, const RequestHead& head) {
  for (const std::string_view part : {head.method, head.target, head.path, head.query, head.authority}) {
    require(part == "/" || is_within(part, bytes), "views point into the head");
  }
  require(worker::is_token(head.method) && worker::is_target_text(head.target), "method and target are clean");
  require(head.path == "*" || head.path.starts_with('/'), "a path begins with a slash");
  require(head.path.find_first_of("?#") == std::string_view::npos, "a path ends before the query");
  require(head.authority.find_first_of("/?#@") == std::string_view::npos, "an authority is a host");
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const Header& field = head.fields[i];
    require(is_within(field.name, bytes) && is_within(field.value, bytes), "fields point into the head");
    require(worker::is_token(field.name) && worker::is_field_value(field.value), "fields are clean");
    require(worker::trim_blanks(field.value).size() == field.value.size(), "values have no blanks around them");
  }
  check_framing(head);
}

// Every head that the shortcut accepts is accepted by llhttp, with the same fields.
void check_against_llhttp(std::string_view bytes, std::size_t first_line, const RequestHead& head) {
  static const auto judge = std::make_unique<RequestHead>();
  judge->method = head.method;
  judge->minor_version = head.minor_version;
  const worker::Refusal refusal = worker::read_fields_by_llhttp(bytes, first_line, HttpLimits{}, *judge);
  require(refusal.status == 0, "llhttp takes the head too");
  require(judge->field_count == head.field_count && judge->known == head.known && judge->repeated == head.repeated,
          "llhttp finds the same fields");
  for (std::size_t i = 0; i < head.field_count; ++i) {
    require(judge->fields[i].name == head.fields[i].name && judge->fields[i].value == head.fields[i].value,
            "llhttp reads the same");
  }
}

}  // namespace

static void fuzz(std::string_view input) {
  static const auto head = std::make_unique<RequestHead>();
  const HeadScan scan = worker::scan_head(input, 0, std::string_view::npos);
  check_scan(input, scan);
  if (scan.state != HeadScan::State::complete) return;
  // A copy of exactly that size, so that the sanitizer sees a read past its end.
  const std::string bytes(input.substr(0, scan.position));
  const worker::Refusal refusal = worker::parse_head(bytes, scan.first_line, HttpLimits{}, *head);
  if (refusal.status != 0) {
    require(refusal.status >= 400 && refusal.status < 600 && *refusal.reason != '\0', "a refusal has its reason");
  } else {
    check_head(bytes, *head);
    check_against_llhttp(bytes, scan.first_line, *head);
  }
}

static std::vector<std::string> seeds() {
  std::vector<std::string> heads;
  for (test::FramingCase& test : test::all_framing_cases()) heads.push_back(std::move(test.bytes));
  return heads;
}

static const Registered kRegistered({"head", fuzz, seeds});

}  // namespace pronghorn::fuzz::head
