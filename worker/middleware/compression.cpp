// Implements pronghorn::compression() of pronghorn/middleware.h.
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "pronghorn/middleware.h"
#include "pronghorn/timer.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/content/content_coding.h"
#include "worker/fields/content/content_types.h"
#include "worker/fields/text.h"
#include "worker/http/head/field_lines.h"
#include "worker/http/response_access.h"
#include "worker/middleware/content_encoder.h"
#include "worker/middleware/vary.h"

namespace pronghorn {

namespace {

using worker::ContentCoding;
using worker::ContentEncoder;

constexpr std::array kOffered{ContentCoding::br, ContentCoding::zstd, ContentCoding::gzip};
constexpr std::size_t kSlice = 64 * 1024;       // of a large body; takes about a millisecond
constexpr std::size_t kMaxAtOnce = 256 * 1024;  // a larger body is compressed while it is sent

// Compresses what a producer writes on its way to the client. Branches of the producer may write concurrently: the data
// of one call is compressed and passed on without a suspension in between.
class CompressingWriter final : public Writer {
 public:
  CompressingWriter(Writer& out, ContentCoding coding) : out_(out), compressor_(worker::make_content_encoder(coding)) {}

  // Flushes, so that the client can read at once what has been written.
  Task<void> write(std::string_view data) override {
    std::string made;
    while (data.size() > kSlice) {
      compressor_->add(data.substr(0, kSlice), ContentEncoder::Then::go_on, made);
      data.remove_prefix(kSlice);
    }
    if (!data.empty()) compressor_->add(data, ContentEncoder::Then::flush, made);
    co_await out_.write(made);
  }

  void trailer(std::string_view name, std::string_view value) override { out_.trailer(name, value); }

  Task<void> finish() {
    std::string made;
    compressor_->add({}, ContentEncoder::Then::finish, made);
    co_await out_.write(made);
  }

 private:
  Writer& out_;
  std::unique_ptr<ContentEncoder> compressor_;
};

// `producer` belongs to the calling producer, which outlives the task.
Task<void> produce_compressed(const Response::Producer& producer, ContentCoding coding, Writer& out) {
  CompressingWriter writer(out, coding);
  co_await producer(writer);
  co_await writer.finish();
}

Response::Producer compressed(Response::Producer producer, ContentCoding coding) {
  return [producer = std::move(producer), coding](Writer& out) { return produce_compressed(producer, coding, out); };
}

// `body` belongs to the calling producer. Yields to other clients after each slice.
Task<void> write_in_slices(std::string_view body, Writer& out) {
  while (!body.empty()) {
    co_await out.write(body.substr(0, kSlice));
    body.remove_prefix(std::min(kSlice, body.size()));
    co_await sleep_for(std::chrono::milliseconds(1));
  }
}

bool has_token(std::string_view list, std::string_view token) noexcept {
  while (!list.empty()) {
    if (worker::equal_ignoring_case(worker::take_until(list, ','), token)) return true;
  }
  return false;
}

bool forbids_transformation(const Response& response) {
  bool forbidden = false;
  worker::for_each_field_line(ResponseAccess::fields(response),
                              [&forbidden](std::string_view name, std::string_view value, std::string_view) {
                                if (!worker::equal_ignoring_case(name, "Cache-Control")) return;
                                forbidden = forbidden || has_token(value, "no-transform");
                              });
  return forbidden;
}

// Whether this response, or the 200 that a 304 stands for, is compressed for clients that accept a coding.
bool may_be_compressed(Response& response) {
  const int status = response.status();
  if (status == 204 || status == 206 || ResponseAccess::file(response)) return false;
  const std::string_view type = response.content_type();
  if (!worker::is_compressible(type) && !(status == 304 && type.empty())) return false;
  // A digest (RFC 9530) is of the content as it is.
  const bool is_fixed = response.header("Content-Encoding") || response.header("Content-Digest") ||
                        response.header("Repr-Digest") || forbids_transformation(response);
  return !is_fixed;
}

// Only a weak tag may stay the same for other bytes (RFC 9110 section 8.8.3).
void weaken_tag(Response& response) {
  const std::string etag(response.header("ETag").value_or(""));
  if (etag.starts_with('"')) response.set("ETag", "W/" + etag);
}

// Whether the client has a compressed body, whose tag was made weak.
bool has_weak_tag(const Request& request, std::string_view etag) {
  const std::string weak = "W/" + std::string(etag);
  return std::ranges::any_of(request.headers(), [&weak](const Request::Header& field) {
    return worker::equal_ignoring_case(field.name, "If-None-Match") && field.value.find(weak) != std::string_view::npos;
  });
}

// False if the body should be sent uncompressed.
bool compress_body(Response& response, ContentCoding coding, std::size_t min_size) {
  std::string& body = ResponseAccess::body(response);
  if (body.size() < min_size || body.empty()) return false;
  if (body.size() > kMaxAtOnce) {
    ResponseAccess::producer(response) = std::make_unique<Response::Producer>(
        compressed([body = std::move(body)](Writer& out) { return write_in_slices(body, out); }, coding));
    return true;
  }
  std::string made;
  worker::make_content_encoder(coding, body.size())->add(body, ContentEncoder::Then::finish, made);
  if (made.size() >= body.size()) return false;
  body = std::move(made);
  return true;
}

void compress(const CompressionOptions& options, const Request& request, Response& response) {
  if (!may_be_compressed(response)) return;
  worker::add_vary(response, "Accept-Encoding");
  if (response.status() == 304) {
    if (has_weak_tag(request, response.header("ETag").value_or(""))) weaken_tag(response);
    return;
  }
  const ContentCoding coding = worker::choose_coding(request.exchange().head, kOffered);
  if (coding == ContentCoding::identity) return;
  if (auto& producer = ResponseAccess::producer(response)) {
    *producer = compressed(std::move(*producer), coding);
  } else if (!compress_body(response, coding, options.min_size)) {
    return;
  }
  response.append("Content-Encoding", worker::name_of(coding));
  weaken_tag(response);
}

}  // namespace

Middleware compression(const CompressionOptions& options) {
  return Middleware::After([options](Request& request, Response& response) { compress(options, request, response); });
}

}  // namespace pronghorn
