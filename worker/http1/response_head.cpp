#include "worker/http1/response_head.h"

#include <charconv>
#include <cstring>

#include "worker/http/head/response_date.h"
#include "worker/http/head/status_text.h"
#include "worker/http/response_access.h"

namespace pronghorn::worker {
namespace {

// Room for everything that the server adds, so that one resize is enough for the whole head.
constexpr std::size_t kOwnFieldsRoom = 560;

class Cursor {
 public:
  explicit Cursor(char* out) noexcept : out_(out) {}
  Cursor& put(std::string_view part) noexcept {
    std::memcpy(out_, part.data(), part.size());
    out_ += part.size();
    return *this;
  }
  Cursor& put_number(std::uint64_t number) noexcept {
    out_ = std::to_chars(out_, out_ + 20, number).ptr;
    return *this;
  }
  [[nodiscard]] char* end() const noexcept { return out_; }

 private:
  char* out_;
};

// How the head begins, with the fields that the application may have set itself.
void write_start(Cursor& cursor, const Response& response, std::string_view fields) noexcept {
  if (response.status() == 200 && fields.empty()) [[likely]] {
    cursor.put(response_date().usual_start());
    return;
  }
  cursor.put("HTTP/1.1 ").put_number(static_cast<std::uint64_t>(response.status())).put(" ");
  cursor.put(status_text(response.status())).put("\r\n");
  if (fields.empty() || !response.header("Date")) cursor.put(response_date().field());
  if (fields.empty() || !response.header("Server")) cursor.put(response_date().server_field());
}

// Returns the end of the head.
char* write_head(char* out, const Response& response, const ResponseFraming& framing, std::string_view fields,
                 std::string_view type) noexcept {
  Cursor cursor(out);
  write_start(cursor, response, fields);
  if (!framing.request_id.empty() && (fields.empty() || !response.header("X-Request-Id"))) {
    cursor.put("X-Request-Id: ").put(framing.request_id).put("\r\n");
  }
  if (!framing.traceparent.empty() && (fields.empty() || !response.header("traceparent"))) {
    cursor.put("traceparent: ").put(framing.traceparent).put("\r\n");
  }
  if (!type.empty()) cursor.put("Content-Type: ").put(type).put("\r\n");
  if (framing.content_length) cursor.put("Content-Length: ").put_number(*framing.content_length).put("\r\n");
  if (framing.chunked) cursor.put("Transfer-Encoding: chunked\r\n");
  if (framing.close) cursor.put("Connection: close\r\n");
  if (framing.keep_alive_1_0) cursor.put("Connection: keep-alive\r\n");
  if (!fields.empty()) {
    if (response.header("Upgrade")) [[unlikely]]  // RFC 9110 section 7.8
      cursor.put("Connection: Upgrade\r\n");
    cursor.put(fields);
  }
  cursor.put("\r\n");
  return cursor.end();
}

}  // namespace

void append_response_head(std::string& out, const Response& response, const ResponseFraming& framing,
                          std::string_view body) {
  const std::string_view fields = ResponseAccess::fields(response);
  const std::string_view type = response.content_type();
  const std::size_t start = out.size();
  // Not resize(), which would first fill the room with zeros.
  out.resize_and_overwrite(start + kOwnFieldsRoom + fields.size() + type.size() + body.size(),
                           [&](char* data, std::size_t) {
                             Cursor rest(write_head(data + start, response, framing, fields, type));
                             if (!body.empty()) rest.put(body);  // null if there is none
                             return static_cast<std::size_t>(rest.end() - data);
                           });
}

}  // namespace pronghorn::worker
