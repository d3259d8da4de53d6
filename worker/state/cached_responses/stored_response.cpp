#include "worker/state/cached_responses/stored_response.h"

#include <cstdint>
#include <stdexcept>
#include <utility>

#include "worker/http/head/field_lines.h"
#include "worker/http/response_access.h"

namespace pronghorn::worker {
namespace {

void append_text(std::string& bytes, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift & 0xff);
  bytes += text;
}

struct Parts {
  std::string_view rest;
  bool failed = false;

  std::uint32_t number() {
    if (rest.size() < 4) failed = true;
    if (failed) return 0;
    std::uint32_t value = 0;
    for (const char byte : rest.substr(0, 4)) value = value << 8 | static_cast<std::uint8_t>(byte);
    rest.remove_prefix(4);
    return value;
  }
  std::string text() {
    const std::uint32_t size = number();
    if (rest.size() < size) failed = true;
    if (failed) return {};
    std::string part(rest.substr(0, size));
    rest.remove_prefix(size);
    return part;
  }
};

void append_u32(std::string& bytes, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xff);
}

}  // namespace

std::string encode(const StoredResponse& stored) {
  std::string bytes;
  bytes.reserve(64 + stored.content_type.size() + stored.fields.size() + stored.body.size());
  bytes += static_cast<char>(stored.kind);
  append_u32(bytes, static_cast<std::uint32_t>(stored.initial_age.count()));
  append_u32(bytes, static_cast<std::uint32_t>(stored.status));
  append_u32(bytes, static_cast<std::uint32_t>(stored.vary.size()));
  for (const std::string& name : stored.vary) append_text(bytes, name);
  append_text(bytes, stored.content_type);
  append_text(bytes, stored.fields);
  append_text(bytes, stored.body);
  return bytes;
}

std::optional<StoredResponse> decode_response(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  StoredResponse stored;
  stored.kind = static_cast<StoredResponse::Kind>(bytes[0]);
  switch (stored.kind) {
    case StoredResponse::Kind::response:
    case StoredResponse::Kind::varies:
    case StoredResponse::Kind::pass:
      break;
    default:
      return std::nullopt;
  }
  Parts parts{bytes.substr(1)};
  stored.initial_age = std::chrono::seconds(parts.number());
  stored.status = static_cast<int>(parts.number());
  const std::uint32_t names = parts.number();
  for (std::uint32_t i = 0; i < names && !parts.failed; ++i) stored.vary.push_back(parts.text());
  stored.content_type = parts.text();
  stored.fields = parts.text();
  stored.body = parts.text();
  if (parts.failed || !parts.rest.empty()) return std::nullopt;
  return stored;
}

std::optional<Response> to_response(StoredResponse stored) {
  if (stored.status < 200 || stored.status > 599) return std::nullopt;
  try {
    Response response(stored.status);
    if (!stored.content_type.empty()) response.content_type(stored.content_type);
    const bool whole = for_each_field_line(
        stored.fields,
        [&response](std::string_view name, std::string_view value, std::string_view) { response.append(name, value); });
    if (!whole) return std::nullopt;
    response.body(std::move(stored.body));
    return response;
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

}  // namespace pronghorn::worker
