// The body of a multipart/form-data request (RFC 7578, RFC 2046 section 5.1), as it arrives, strictly: what two readers
// could understand differently is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pronghorn/multipart.h"

namespace pronghorn::worker {

// What the fields of a part say. All of it is text of the client's.
struct PartHead {
  std::string name;
  std::optional<std::string> filename;  // present when the part is a file; "" for a file field that was left empty
  std::string content_type;             // empty: none was sent
};

// The boundary of a Content-Type field, or nullopt when there is none that RFC 2046 allows: 1 to 70 characters.
[[nodiscard]] std::optional<std::string> boundary_of(std::string_view content_type);

// Context: one thread; one per request. Holds the head of one part; contents are views of the input, or of the parser
// where a piece began like the boundary and turned out not to be it.
class MultipartParser {
 public:
  enum class State {
    needs_more,  // the input is used up
    part,        // a part begins: see take_part()
    data,        // a piece of its content, never empty
    part_end,    // its content is complete
    malformed,   // answered 400: see reason(). Every later step is the same
    too_large,   // answered 413: the same
  };
  struct Step {
    State state;
    std::size_t consumed = 0;    // bytes of the input that were used
    std::string_view data = {};  // state data: valid until the next step
  };

  // `boundary` as boundary_of() gives it.
  MultipartParser(std::string_view boundary, const MultipartLimits& limits);

  // Call again with the rest of the input until it needs more.
  [[nodiscard]] Step next(std::string_view input);

  // Once, after State::part.
  [[nodiscard]] PartHead take_part() noexcept { return std::move(part_); }
  // Whether the input may end here: the last part has been closed. What follows (the epilogue) is dropped.
  [[nodiscard]] bool complete() const noexcept {
    return failure_ == State::needs_more && (expect_ == Expect::close_blanks || expect_ == Expect::epilogue);
  }
  // For people: why it is malformed or too large.
  [[nodiscard]] const char* reason() const noexcept { return reason_; }

 private:
  enum class Expect {
    preamble,          // dropped up to the first boundary
    after_delimiter,   // "--" ends it all, CRLF begins a part
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
  [[nodiscard]] const char* take_field(std::string_view line);
  [[nodiscard]] const char* take_disposition(std::string_view value);
  [[nodiscard]] Step fail(State state, const char* reason) noexcept;

  MultipartLimits limits_;
  std::string delimiter_;    // CRLF "--" boundary
  std::size_t matched_ = 2;  // bytes of the delimiter that the input has ended with
  std::size_t assumed_ = 2;  // the first of them that were not input: the first boundary needs no CRLF before it
  std::string line_;         // of the head, incomplete
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
