#include "worker/http2/protocol/response_fields.h"

#include <charconv>

#include "worker/fields/text.h"
#include "worker/http/head/field_lines.h"
#include "worker/http/head/response_date.h"
#include "worker/http/response_access.h"

namespace pronghorn::worker {
namespace {

// RFC 9113 section 8.2.2. Response itself refuses the others.
bool belongs_to_connection(std::string_view name) noexcept { return equal_ignoring_case(name, "upgrade"); }

}  // namespace

void ResponseFields::add(std::string_view name, std::string_view value, unsigned flags) {
  // nghttp2 reads both and changes neither.
  fields_.push_back({.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                     .value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())),
                     .namelen = name.size(),
                     .valuelen = value.size(),
                     .flags = static_cast<uint8_t>(flags)});
}

// `name` is a literal in lower case, which need not be copied.
void ResponseFields::add_literal(std::string_view name, std::string_view value, unsigned flags) {
  add(name, value, flags | NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

void ResponseFields::begin(int status) {
  fields_.clear();
  std::to_chars(status_.data(), status_.data() + status_.size(), status);
  add_literal(":status", {status_.data(), status_.size()});
}

void ResponseFields::add_lines(std::string_view lines) {
  for_each_field_line(lines, [this](std::string_view name, std::string_view value, std::string_view) {
    if (!belongs_to_connection(name)) add(name, value, NGHTTP2_NV_FLAG_NONE);
  });
}

std::span<const nghttp2_nv> ResponseFields::of_response(const Response& response, const ResponseContent& content,
                                                        const Ids& ids) {
  const std::string_view fields = ResponseAccess::fields(response);
  begin(response.status());
  // The application may have set its own.
  if (fields.empty() || !response.header("Date")) add_literal("date", response_date().value());
  if (fields.empty() || !response.header("Server")) {
    add_literal("server", "pronghorn", NGHTTP2_NV_FLAG_NO_COPY_VALUE);
  }
  // Different in each response: it would only displace other fields from the table of the encoder.
  if (fields.empty() || !response.header("X-Request-Id")) {
    add_literal("x-request-id", ids.request_id, NGHTTP2_NV_FLAG_NO_INDEX);
  }
  if (!ids.traceparent.empty() && (fields.empty() || !response.header("traceparent"))) {
    add_literal("traceparent", ids.traceparent, NGHTTP2_NV_FLAG_NO_INDEX);
  }
  if (const std::string_view type = response.content_type(); !type.empty()) add_literal("content-type", type);
  if (content.length) {
    const char* const end = std::to_chars(length_.data(), length_.data() + length_.size(), *content.length).ptr;
    add_literal("content-length", {length_.data(), static_cast<std::size_t>(end - length_.data())});
  }
  add_lines(fields);
  return fields_;
}

std::span<const nghttp2_nv> ResponseFields::of_interim(int status, std::string_view lines) {
  begin(status);
  add_lines(lines);
  return fields_;
}

std::span<const nghttp2_nv> ResponseFields::of_trailers(std::string_view lines) {
  fields_.clear();
  add_lines(lines);
  return fields_;
}

}  // namespace pronghorn::worker
