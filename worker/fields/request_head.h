// The parsed head of a request.
//
// Its views point into the bytes that were parsed (Exchange::head_bytes) and live as long as those.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pronghorn/request.h"

namespace pronghorn::worker {

using Header = Request::Header;
using Client = Request::Client;

inline constexpr std::size_t kMaxHeaderFields = 128;  // the upper limit of the option max_header_fields

// The fields that the server itself reads. The parser notes where they are, so that looking them up costs no search.
enum class KnownHeader : std::uint8_t {
  host,
  connection,
  content_length,
  transfer_encoding,
  expect,
  cookie,
  content_type,
  x_request_id,
  traceparent,
  count,
};

// RequestHead::minor_version of a request that came over HTTP/2.
inline constexpr std::uint8_t kHttp2 = 20;

struct RequestHead {
  std::string_view method;
  std::string_view target;         // as sent
  std::string_view path;           // of the target, still percent-encoded; "*" for OPTIONS *
  std::string_view query;          // of the target, without '?'
  std::string_view authority;      // of a target in absolute-form; otherwise empty
  std::uint8_t minor_version = 1;  // of HTTP/1; or kHttp2
  bool has_query = false;          // the target contains a '?'
  bool keep_alive = true;
  bool chunked = false;
  bool expect_continue = false;
  bool tunnel = false;  // an extended CONNECT of HTTP/2 for a WebSocket (RFC 8441); `method` is GET if it has a route
  std::optional<std::uint64_t> content_length;

  std::array<Header, kMaxHeaderFields> fields;
  std::size_t field_count = 0;
  using Known = std::array<std::int16_t, static_cast<std::size_t>(KnownHeader::count)>;
  static constexpr Known kNoneKnown = [] {
    Known none{};
    none.fill(-1);
    return none;
  }();
  Known known = kNoneKnown;    // index into fields, -1: absent
  std::uint32_t repeated = 0;  // bit_of() every known header that occurs more than once

  // Resets everything. Leaves the contents of `fields` alone, because clearing 4 KiB per request would be measurable.
  void clear() noexcept;
  void clear_fields() noexcept;  // resets the fields only

  [[nodiscard]] static constexpr std::uint32_t bit_of(KnownHeader header) noexcept {
    return 1U << static_cast<unsigned>(header);
  }
  // "HTTP/1.1"
  [[nodiscard]] std::string_view version() const noexcept {
    return minor_version == kHttp2 ? "HTTP/2.0" : minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
  }
  [[nodiscard]] bool has(KnownHeader header) const noexcept { return known[static_cast<std::size_t>(header)] >= 0; }
  [[nodiscard]] std::string_view value(KnownHeader header) const noexcept {  // empty when absent
    const std::int16_t index = known[static_cast<std::size_t>(header)];
    return index < 0 ? std::string_view{} : fields[static_cast<std::size_t>(index)].value;
  }
  // The first field named `name`, compared without case.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
};

}  // namespace pronghorn::worker
