// Finds the fields that the server itself reads: see KnownHeader.
#pragma once

#include <cstddef>
#include <string_view>

#include "worker/fields/request_head.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {

// Whether a token of this length is `wanted`, which is in lower case. One branch for all characters: of those of a
// token, only the two cases of a letter become this letter, and only '-' becomes '-'.
template <std::size_t Size>
bool is_name(std::string_view token, const char (&wanted)[Size]) noexcept {
  int different = 0;
  for (std::size_t i = 0; i < Size - 1; ++i) different |= (token[i] | 0x20) ^ wanted[i];
  return different == 0;
}

template <std::size_t Size>
void remember_known(RequestHead& head, std::string_view name, std::size_t index, KnownHeader header,
                    const char (&wanted)[Size]) noexcept {
  if (!is_name(name, wanted)) return;
  auto& known = head.known[static_cast<std::size_t>(header)];
  if (known >= 0) {
    head.repeated |= RequestHead::bit_of(header);
  } else {
    known = static_cast<std::int16_t>(index);
  }
}

// Notes in `head` that its field number `index` has this name, a token.
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
