// Collects the fields of a header block and makes the head of a request of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "worker/fields/request_head.h"
#include "worker/http1/parser/refusal.h"

namespace pronghorn::worker {

// nghttp2 has checked each block (RFC 9113 section 8): lower-case names, valid values, the pseudo-fields of a request
// once each and first, nothing that belongs to a connection. This applies the rules that HTTP/1.1 has as well, so that
// both protocols accept the same requests, and the limits.
//
// Context: loop thread; one per connection, because blocks do not interleave (section 4.3).
class HeadAssembly {
 public:
  // The limits of a block: above four times max_header_bytes it is not even read to its end.
  static constexpr std::size_t kFarTooLarge = 4;

  // A block begins.
  void begin() noexcept;
  // The views need to be valid during the call only. False: the block is far too large, so the connection must end.
  [[nodiscard]] bool add(std::string_view name, std::string_view value, const HttpLimits& limits);

  // The block was that of a request. Moves its text into `bytes`, into which the views in `head` point. Crumbs of a
  // cookie are joined (section 8.2.3); :authority is the field Host. Refuses:
  //  - 400: what HTTP/1.1 refuses (see parse_head()), and a Host that differs from :authority;
  //  - 414, 431: the limits;
  //  - 417: the same as in HTTP/1.1;
  //  - 501: CONNECT, unless it is an extended one for a WebSocket (RFC 8441), which is marked as a tunnel.
  // If it refuses, `head` is incomplete.
  [[nodiscard]] Refusal finish(const HttpLimits& limits, std::string& bytes, RequestHead& head);
  // The block was a trailer section: appends its fields as lines "name: value\r\n". A section that is too large is
  // dropped.
  void finish_trailers(const HttpLimits& limits, std::string& lines);

 private:
  struct Field {
    std::uint32_t name;  // where it begins in text_
    std::uint32_t name_size;
    std::uint32_t value_size;  // of the value behind it
  };
  struct Pseudo {
    std::uint32_t at = 0;
    std::uint32_t size = 0;
    bool there = false;
  };

  void add_pseudo(std::string_view name, std::string_view value);
  void clear() noexcept;
  [[nodiscard]] Refusal too_large(const HttpLimits& limits) const noexcept;
  [[nodiscard]] Refusal fill(const std::string& bytes, std::size_t cookie, RequestHead& head) const;

  std::string text_;
  std::vector<Field> fields_;
  std::string cookie_;
  Pseudo method_;
  Pseudo path_;
  Pseudo authority_;
  Pseudo protocol_;
  std::size_t size_ = 0;   // of the list of fields, as SETTINGS_MAX_HEADER_LIST_SIZE counts (section 6.5.2)
  std::size_t count_ = 0;  // fields, also those above the limit, which are not kept
};

}  // namespace pronghorn::worker
