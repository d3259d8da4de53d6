// The chunked transfer coding of a request body (RFC 9112 section 7.1).
//
// It accepts exactly the grammar of the RFC: a body that a proxy could frame differently is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pronghorn::worker {

// Context: loop thread; one decoder per connection, reset for each message.
// Memory:  none of its own. Data and trailers are views into the input.
class ChunkedDecoder {
 public:
  enum class State {
    needs_more,  // all input is consumed
    data,        // a piece of the body
    trailers,    // a piece of the trailer section
    done,        // the message is complete
    malformed,   // 400
    too_large,   // the overhead or the trailers exceed their limit
  };
  struct Step {
    State state;
    std::size_t consumed;   // bytes of the input
    std::string_view data;  // for State::data and State::trailers; never empty there
  };

  // By how many bytes the extensions of a message (and leading zeros of its chunk sizes) may exceed its data. They are
  // ignored, so a client that sends more of them than data only makes work (RFC 9112 section 7.1.1).
  static constexpr std::size_t kMaxOverhead = 16 * 1024;
  static constexpr std::size_t kMaxTrailers = 16 * 1024;  // of a message, with line ends

  void reset() noexcept { *this = ChunkedDecoder(); }

  // Decodes up to the next event. Call it with the rest of the input until it returns needs_more, or one of the last
  // three states, which are final.
  [[nodiscard]] Step next(std::string_view input) noexcept;

  // Bytes of the current chunk that were announced and have not arrived. 0 outside of a chunk's data.
  [[nodiscard]] std::uint64_t chunk_left() const noexcept { return expect_ == Expect::data ? left_ : 0; }

 private:
  enum class Expect : std::uint8_t {
    size,
    extension,       // ';', after blanks
    extension_name,  // its first character
    extension_name_rest,
    extension_equals,  // '=' or the next ';', after blanks
    extension_value,   // its first character
    extension_token,   // the rest of an unquoted value
    extension_quoted,
    extension_quoted_pair,
    extension_quoted_end,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_lf,
    end_lf,
    done,
  };

  [[nodiscard]] bool in_trailers() const noexcept {
    return expect_ >= Expect::trailer_start && expect_ <= Expect::trailer_lf;
  }
  [[nodiscard]] bool take(char c) noexcept;
  [[nodiscard]] bool take_size(char c) noexcept;
  [[nodiscard]] bool take_extension(char c) noexcept;
  [[nodiscard]] bool end_extension(char c) noexcept;
  [[nodiscard]] bool take_trailer(char c) noexcept;

  Expect expect_ = Expect::size;
  bool has_size_ = false;       // a digit of the size has been seen
  std::uint8_t digits_ = 0;     // of the size, without leading zeros
  std::uint64_t left_ = 0;      // of the chunk
  std::uint64_t data_ = 0;      // bytes so far
  std::uint64_t overhead_ = 0;  // bytes of extensions and leading zeros so far
  std::size_t trailers_ = 0;    // bytes so far
};

}  // namespace pronghorn::worker
