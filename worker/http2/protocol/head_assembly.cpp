#include "worker/http2/protocol/head_assembly.h"

#include <algorithm>

#include "worker/fields/known_header.h"
#include "worker/fields/text.h"
#include "worker/http1/parser/head_parser.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kFieldOverhead = 32;  // RFC 9113 section 6.5.2
constexpr std::size_t kKeptText = 4096;     // bytes of memory that an idle connection keeps

std::size_t max_fields_of(const HttpLimits& limits) noexcept {
  // One is left for Host, which is made of :authority, and one for the joined cookie.
  constexpr std::size_t kMost = kMaxHeaderFields - 2;
  return limits.max_header_fields == 0 ? kMost : std::min<std::size_t>(limits.max_header_fields, kMost);
}

void append_field(RequestHead& head, std::string_view name, std::string_view value) noexcept {
  head.fields[head.field_count] = {name, value};
  note_known_header(head, name, head.field_count);
  ++head.field_count;
}

}  // namespace

void HeadAssembly::begin() noexcept {
  clear();
  count_ = 0;
  size_ = 0;
}

void HeadAssembly::clear() noexcept {
  text_.clear();
  fields_.clear();
  cookie_.clear();
  method_ = path_ = authority_ = protocol_ = {};
  for (std::string* memory : {&text_, &cookie_}) {
    if (memory->capacity() > kKeptText) memory->shrink_to_fit();
  }
}

bool HeadAssembly::add(std::string_view name, std::string_view value, const HttpLimits& limits) {
  size_ += name.size() + value.size() + kFieldOverhead;
  if (limits.max_header_bytes != 0 && size_ > limits.max_header_bytes) {
    return size_ <= kFarTooLarge * limits.max_header_bytes;
  }
  if (name.starts_with(':')) {
    add_pseudo(name, value);
    return true;
  }
  if (name == "cookie") {
    if (cookie_.empty()) {
      if (++count_ > max_fields_of(limits)) return true;
    } else {
      cookie_.append("; ");
    }
    cookie_.append(value);
    return true;
  }
  if (++count_ > max_fields_of(limits)) return true;
  fields_.push_back({.name = static_cast<std::uint32_t>(text_.size()),
                     .name_size = static_cast<std::uint32_t>(name.size()),
                     .value_size = static_cast<std::uint32_t>(value.size())});
  text_.append(name).append(value);
  return true;
}

void HeadAssembly::add_pseudo(std::string_view name, std::string_view value) {
  Pseudo* const pseudo = name == ":method"      ? &method_
                         : name == ":path"      ? &path_
                         : name == ":authority" ? &authority_
                         : name == ":protocol"  ? &protocol_
                                                : nullptr;
  if (pseudo == nullptr) return;  // :scheme, which proxies may set to what the client used
  *pseudo = {
      .at = static_cast<std::uint32_t>(text_.size()), .size = static_cast<std::uint32_t>(value.size()), .there = true};
  text_.append(value);
}

Refusal HeadAssembly::too_large(const HttpLimits& limits) const noexcept {
  // As the request line that HTTP/1.1 would have.
  constexpr std::size_t kVersion = std::string_view("  HTTP/1.1").size();
  if (limits.max_request_line != 0 && method_.size + path_.size + kVersion > limits.max_request_line) {
    return {414, "request line too long", Count::limit_request_line};
  }
  if (limits.max_header_bytes != 0 && size_ > limits.max_header_bytes) {
    return {431, "header fields too large", Count::limit_header_bytes};
  }
  if (count_ > max_fields_of(limits)) return {431, "too many header fields", Count::limit_header_fields};
  return {};
}

Refusal HeadAssembly::finish(const HttpLimits& limits, std::string& bytes, RequestHead& head) {
  head.clear();
  head.minor_version = kHttp2;
  if (const Refusal refusal = too_large(limits); refusal.status != 0) return refusal;
  bytes.assign(text_).append(cookie_);
  const Refusal refusal = fill(bytes, text_.size(), head);
  clear();
  return refusal;
}

Refusal HeadAssembly::fill(const std::string& bytes, std::size_t cookie, RequestHead& head) const {
  const std::string_view text(bytes);
  const auto value_of = [text](const Pseudo& pseudo) { return text.substr(pseudo.at, pseudo.size); };
  head.method = value_of(method_);
  head.target = value_of(path_);
  if (authority_.there) append_field(head, "host", value_of(authority_));
  for (const Field& field : fields_) {
    const std::string_view name = text.substr(field.name, field.name_size);
    const std::string_view value = text.substr(field.name + field.name_size, field.value_size);
    if (authority_.there && name == "host") {
      if (!equal_ignoring_case(value, head.fields[0].value)) return {400, "Host differs from :authority"};
      continue;
    }
    append_field(head, name, value);
  }
  if (cookie < text.size()) append_field(head, "cookie", text.substr(cookie));
  // nghttp2 lets no other method have :protocol.
  if (head.method == "CONNECT") {
    if (!protocol_.there) return {501, "CONNECT is not supported"};
    head.tunnel = equal_ignoring_case(value_of(protocol_), "websocket");
    if (!head.tunnel) return {501, "CONNECT is supported for WebSockets only"};
  }
  if (!head.target.starts_with('/') && head.target != "*") return {400, "malformed request target"};
  const Refusal refusal = check_head(head);
  // What follows is no content (RFC 9110 section 9.3.6).
  if (refusal.status == 0 && head.tunnel && head.content_length) return {400, "CONNECT with a Content-Length"};
  return refusal;
}

void HeadAssembly::finish_trailers(const HttpLimits& limits, std::string& lines) {
  if (too_large(limits).status == 0) {
    for (const Field& field : fields_) {
      lines.append(text_, field.name, field.name_size).append(": ");
      lines.append(text_, field.name + field.name_size, field.value_size).append("\r\n");
    }
  }
  clear();
}

}  // namespace pronghorn::worker
