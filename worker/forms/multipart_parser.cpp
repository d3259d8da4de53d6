#include "worker/forms/multipart_parser.h"

#include <algorithm>
#include <utility>

#include "worker/fields/characters.h"
#include "worker/fields/text.h"
#include "worker/forms/parameters.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxBoundary = 70;  // RFC 2046 section 5.1.1

bool is_boundary(std::string_view text) noexcept {
  if (text.empty() || text.size() > kMaxBoundary || text.back() == ' ') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::optional<std::string> boundary_of(std::string_view content_type) {
  const auto type = parse_parameters(content_type);
  const std::string* boundary = type ? type->find("boundary") : nullptr;
  if (boundary == nullptr || !is_boundary(*boundary)) return std::nullopt;
  return *boundary;
}

MultipartParser::MultipartParser(std::string_view boundary, const MultipartLimits& limits)
    : limits_(limits), delimiter_("\r\n--") {
  delimiter_.append(boundary);
}

MultipartParser::Step MultipartParser::next(std::string_view input) {
  std::size_t used = 0;
  while (failure_ == State::needs_more && used < input.size()) {
    const Step step = advance(input.substr(used));
    used += step.consumed;
    if (step.state != State::needs_more) return {step.state, used, step.data};
  }
  return {failure_, used};
}

MultipartParser::Step MultipartParser::advance(std::string_view input) {
  switch (expect_) {
    case Expect::preamble:
    case Expect::content:
      return search(input);
    case Expect::head:
      return take_head(input);
    case Expect::epilogue:
      return {State::needs_more, input.size()};
    default:
      return after_delimiter(input.front());
  }
}

// Finds the next delimiter. Bytes at the end of the input that may begin one are held back. They equal the beginning of
// the delimiter, so keeping their number is enough.
MultipartParser::Step MultipartParser::search(std::string_view input) {
  const std::string_view delimiter = delimiter_;
  if (matched_ > 0) {
    const std::size_t compared = std::min(input.size(), delimiter.size() - matched_);
    if (input.substr(0, compared) == delimiter.substr(matched_, compared)) {
      matched_ += compared;
      return matched_ == delimiter.size() ? delimiter_found(compared) : Step{State::needs_more, compared};
    }
    // The only CR of a delimiter is its first byte, so no other delimiter begins within the bytes held back.
    const std::string_view held = delimiter.substr(assumed_, matched_ - assumed_);
    matched_ = assumed_ = 0;
    return content(held, 0);
  }
  std::size_t end = input.find(delimiter);
  if (end == 0) return delimiter_found(delimiter.size());
  if (end == std::string_view::npos) {
    end = input.find('\r', input.size() - std::min(input.size(), delimiter.size() - 1));
    while (end != std::string_view::npos && !delimiter.starts_with(input.substr(end))) end = input.find('\r', end + 1);
    if (end == 0) {
      matched_ = input.size();
      return {State::needs_more, input.size()};
    }
  }
  end = std::min(end, input.size());
  return content(input.substr(0, end), end);
}

MultipartParser::Step MultipartParser::delimiter_found(std::size_t consumed) {
  const bool ends_part = expect_ == Expect::content;
  matched_ = assumed_ = 0;
  expect_ = Expect::after_delimiter;
  return {ends_part ? State::part_end : State::needs_more, consumed};
}

MultipartParser::Step MultipartParser::content(std::string_view data, std::size_t consumed) {
  if (expect_ == Expect::preamble || data.empty()) return {State::needs_more, consumed};
  part_size_ += data.size();
  if (size_limit_ != 0 && part_size_ > size_limit_) {
    return fail(State::too_large,
                part_.filename ? "a file in the form is too large" : "a field in the form is too large");
  }
  return {State::data, consumed, data};
}

MultipartParser::Step MultipartParser::after_delimiter(char c) {
  constexpr Step kGoOn{State::needs_more, 1};
  switch (expect_) {
    case Expect::after_delimiter:
      if (c == '-') {
        expect_ = Expect::close_dash;
        return kGoOn;
      }
      [[fallthrough]];
    case Expect::delimiter_blanks:
      if (c != '\r' && !is_blank(c)) break;
      expect_ = c == '\r' ? Expect::delimiter_lf : Expect::delimiter_blanks;
      return kGoOn;
    case Expect::delimiter_lf:
      if (c != '\n') break;
      if (limits_.parts != 0 && ++parts_ > limits_.parts) return fail(State::too_large, "the form has too many parts");
      part_ = {};
      has_disposition_ = has_content_type_ = false;
      head_size_ = 0;
      expect_ = Expect::head;
      return kGoOn;
    case Expect::close_dash:
      if (c != '-') break;
      expect_ = Expect::close_blanks;
      return kGoOn;
    case Expect::close_blanks:
      if (c != '\r' && !is_blank(c)) break;
      if (c == '\r') expect_ = Expect::close_lf;
      return kGoOn;
    case Expect::close_lf:
      if (c != '\n') break;
      expect_ = Expect::epilogue;
      return kGoOn;
    default:
      break;
  }
  return fail(State::malformed, "a boundary is not followed by CR LF");
}

MultipartParser::Step MultipartParser::take_head(std::string_view input) {
  const std::size_t size = std::min(input.find('\n'), input.size() - 1) + 1;
  head_size_ += size;
  if (limits_.head_bytes != 0 && head_size_ > limits_.head_bytes) {
    return fail(State::too_large, "the header fields of a part are too large");
  }
  line_.append(input.substr(0, size));
  if (line_.back() != '\n') return {State::needs_more, size};
  if (!line_.ends_with("\r\n")) return fail(State::malformed, "a header line of a part does not end in CR LF");
  line_.resize(line_.size() - 2);
  const char* const wrong = take_line();
  line_.clear();
  if (wrong != nullptr) return fail(State::malformed, wrong);
  return field_.empty() ? begin_part(size) : Step{State::needs_more, size};
}

// A field may be folded (RFC 5322 section 2.2.3), so it is read when the next line begins. Returns what is wrong with
// it, or null.
const char* MultipartParser::take_line() {
  if (!field_.empty() && !line_.empty() && is_blank(line_.front())) {
    if (trim_blanks(line_).empty())
      return "a part has a header line of blanks alone";  // others may take it for the end
    field_ += line_;
    return nullptr;
  }
  const char* const wrong = field_.empty() ? nullptr : take_field(field_);
  field_.swap(line_);
  return wrong;
}

MultipartParser::Step MultipartParser::begin_part(std::size_t consumed) {
  if (!has_disposition_) return fail(State::malformed, "a part has no Content-Disposition");
  part_size_ = 0;
  size_limit_ = part_.filename ? limits_.file_bytes : limits_.field_bytes;
  // The CRLF of the empty line can be part of the next delimiter: then the part is empty.
  matched_ = assumed_ = 2;
  expect_ = Expect::content;
  return {State::part, consumed};
}

// Returns what is wrong with the field, or null. Fields other than the three below are checked and ignored.
const char* MultipartParser::take_field(std::string_view field) {
  const std::size_t colon = field.find(':');
  if (colon == std::string_view::npos || !is_token(field.substr(0, colon)))
    return "a part has a malformed header field";
  const std::string_view name = field.substr(0, colon);
  const std::string_view value = trim_blanks(field.substr(colon + 1));
  if (!is_field_value(value)) return "a header field of a part contains a control character";
  if (equal_ignoring_case(name, "content-disposition")) return take_disposition(value);
  if (equal_ignoring_case(name, "content-type")) {
    if (std::exchange(has_content_type_, true)) return "a part has two Content-Type fields";
    part_.content_type = value;
  }
  // Deprecated (RFC 7578 section 4.7). The identity encodings are harmless; with others the application would get
  // encoded content without knowing it.
  if (equal_ignoring_case(name, "content-transfer-encoding") && !equal_ignoring_case(value, "binary") &&
      !equal_ignoring_case(value, "8bit") && !equal_ignoring_case(value, "7bit")) {
    return "a part has an unsupported Content-Transfer-Encoding";
  }
  return nullptr;
}

// Ignores filename*, which form-data must not use (RFC 7578 section 4.2).
const char* MultipartParser::take_disposition(std::string_view value) {
  if (std::exchange(has_disposition_, true)) return "a part has two Content-Disposition fields";
  const auto disposition = parse_parameters(value);
  if (!disposition || !equal_ignoring_case(disposition->value, "form-data")) {
    return "a part has a malformed Content-Disposition";
  }
  const std::string* name = disposition->find("name");
  if (name == nullptr) return "a part has no name";
  part_.name = *name;
  if (const std::string* filename = disposition->find("filename")) part_.filename = *filename;
  return nullptr;
}

MultipartParser::Step MultipartParser::fail(State state, const char* reason) noexcept {
  failure_ = state;
  reason_ = reason;
  return {state};
}

}  // namespace pronghorn::worker
