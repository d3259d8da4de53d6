// The chunked transfer coding of a request (RFC 9112 section 7.1), strictly: what a proxy could frame differently is
// refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pronghorn::worker {

// Context: loop thread; one per connection, reset per message. No memory of its own: chunk data are views of the input.
class ChunkedDecoder {
 public:
  enum class State { needs_more, data, trailers, done, malformed };
  struct Step {
    State state;
    std::size_t consumed;   // bytes of the input that were used
    std::string_view data;  // state data: a piece of the body; trailers: a piece of the trailer section
  };

  void reset() noexcept { *this = ChunkedDecoder(); }

  // Call again with the rest of the input until needs_more (the input is used up), done or malformed. Chunk extensions
  // are checked and dropped, an extension has at most kMaxLine bytes. Trailers have the form of header fields and
  // together at most kMaxTrailers bytes.
  [[nodiscard]] Step next(std::string_view input) noexcept;

  static constexpr std::size_t kMaxLine = 4096;
  static constexpr std::size_t kMaxTrailers = 16 * 1024;

 private:
  enum class Expect {
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer,
    trailer_lf,
    end_lf,
    done
  };

  [[nodiscard]] bool in_trailers() const noexcept {
    return expect_ >= Expect::trailer_start && expect_ <= Expect::trailer_lf;
  }
  [[nodiscard]] bool take(char c) noexcept;
  [[nodiscard]] bool take_size_digit(char c) noexcept;

  Expect expect_ = Expect::size;
  std::uint64_t left_ = 0;    // of the chunk
  std::uint32_t digits_ = 0;  // of its size
  std::size_t line_ = 0;      // bytes of the extension or trailers so far
};

}  // namespace pronghorn::worker
