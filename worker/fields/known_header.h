// Finds the fields that the server itself reads: see KnownHeader.
#pragma once

#include <cstddef>
#include <string_view>

#include "worker/fields/request_head.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {

inline void remember_known(RequestHead& head, std::string_view name, std::size_t index, KnownHeader header,
                           std::string_view wanted) noexcept {
  if (!equal_ignoring_case(name, wanted)) return;
  auto& known = head.known[static_cast<std::size_t>(header)];
  if (known >= 0) {
    head.repeated |= RequestHead::bit_of(header);
  } else {
    known = static_cast<std::int16_t>(index);
  }
}

// Notes in `head` that its field number `index` has this name.
inline void note_known_header(RequestHead& head, std::string_view name, std::size_t index) noexcept {
  switch (name.size()) {
    case 4:
      return remember_known(head, name, index, KnownHeader::host, "host");
    case 6:
      if (lower(name[0]) == 'c') return remember_known(head, name, index, KnownHeader::cookie, "cookie");
      return remember_known(head, name, index, KnownHeader::expect, "expect");
    case 10:
      return remember_known(head, name, index, KnownHeader::connection, "connection");
    case 11:
      return remember_known(head, name, index, KnownHeader::traceparent, "traceparent");
    case 12:
      if (lower(name[0]) == 'x') return remember_known(head, name, index, KnownHeader::x_request_id, "x-request-id");
      return remember_known(head, name, index, KnownHeader::content_type, "content-type");
    case 14:
      return remember_known(head, name, index, KnownHeader::content_length, "content-length");
    case 17:
      return remember_known(head, name, index, KnownHeader::transfer_encoding, "transfer-encoding");
    default:
      return;
  }
}

}  // namespace pronghorn::worker
