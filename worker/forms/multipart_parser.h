// An incremental parser of multipart/form-data bodies (RFC 7578, RFC 2046 section 5.1).
//
// It is strict: a body that two implementations could understand differently is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pronghorn/multipart.h"

namespace pronghorn::worker {

// The header fields of a part, as the client sent them. Do not trust any of it.
struct PartHead {
  std::string name;
  std::optional<std::string> filename;  // absent for an ordinary field; "" for a file field that was left empty
  std::string content_type;             // empty if the client sent none
};

// The boundary parameter of a Content-Type field. nullopt if it is missing or not one that RFC 2046 allows (1 to 70
// characters).
[[nodiscard]] std::optional<std::string> boundary_of(std::string_view content_type);

// Context: one thread; one parser per request.
// Memory:  the head of the current part. Contents are views into the input, or into the parser where bytes looked like
//          the beginning of a boundary and turned out to be content.
class MultipartParser {
 public:
  enum class State {
    needs_more,  // all input is consumed
    part,        // a part begins: call take_part()
    data,        // a piece of the part's content, never empty
    part_end,    // the part is complete
    malformed,   // 400; see reason(). All later steps return this too
    too_large,   // 413; see reason(). All later steps return this too
  };
  struct Step {
    State state;
    std::size_t consumed = 0;    // bytes of the input
    std::string_view data = {};  // for State::data; valid until the next step
  };

  // `boundary` comes from boundary_of().
  MultipartParser(std::string_view boundary, const MultipartLimits& limits);

  // Parses up to the next event. Call it with the rest of the input until it returns needs_more.
  [[nodiscard]] Step next(std::string_view input);

  // The head of the part that State::part announced. Call it once per part.
  [[nodiscard]] PartHead take_part() noexcept { return std::move(part_); }
  // Whether the body may end here: the closing boundary has been seen. Anything after it (the epilogue) is ignored.
  [[nodiscard]] bool complete() const noexcept {
    return failure_ == State::needs_more && (expect_ == Expect::close_blanks || expect_ == Expect::epilogue);
  }
  // Why the body is malformed or too large, as a sentence for the client.
  [[nodiscard]] const char* reason() const noexcept { return reason_; }

 private:
  enum class Expect {
    preamble,          // ignored up to the first boundary
    after_delimiter,   // "--" ends the body, CRLF begins a part
    delimiter_blanks,  // transport padding
    delimiter_lf,
    head,
    content,
    close_dash,  // the second dash
    close_blanks,
    close_lf,
    epilogue,
  };

  [[nodiscard]] Step advance(std::string_view input);
  [[nodiscard]] Step search(std::string_view input);
  [[nodiscard]] Step delimiter_found(std::size_t consumed);
  [[nodiscard]] Step content(std::string_view data, std::size_t consumed);
  [[nodiscard]] Step after_delimiter(char c);
  [[nodiscard]] Step take_head(std::string_view input);
  [[nodiscard]] Step begin_part(std::size_t consumed);
  [[nodiscard]] const char* take_line();
  [[nodiscard]] const char* take_field(std::string_view field);
  [[nodiscard]] const char* take_disposition(std::string_view value);
  [[nodiscard]] Step fail(State state, const char* reason) noexcept;

  MultipartLimits limits_;
  std::string delimiter_;    // CRLF "--" boundary
  std::size_t matched_ = 2;  // bytes of the delimiter that the input so far ends with
  std::size_t assumed_ = 2;  // how many of those were not input: the first boundary has no CRLF before it
  std::string line_;         // the incomplete line of the head
  std::string field_;        // the field before it, unfolded
  std::uint64_t head_size_ = 0;
  std::uint64_t part_size_ = 0;
  std::uint64_t size_limit_ = 0;  // of this part; 0: none
  std::uint32_t parts_ = 0;
  PartHead part_;
  bool has_disposition_ = false;
  bool has_content_type_ = false;
  Expect expect_ = Expect::preamble;
  State failure_ = State::needs_more;
  const char* reason_ = "";
};

}  // namespace pronghorn::worker
