// multipart/form-data bodies (RFC 7578): the fields and files of an HTML form, part by part as they arrive.
//
//   Multipart form = co_await request.multipart();
//   while (auto part = co_await form.next()) {
//     if (part->name() == "photo") { TemporaryFile photo = co_await part->save(); ... }
//   }
//
// Only the piece that has just arrived is held in memory, and the client has to wait while the handler is busy. The
// route's max_body limits the whole body, so raise it for uploads.
//
// Context: the handler's coroutine.
// Errors:  HttpError 400 for a malformed body, 413 for one that exceeds a limit.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pronghorn/detail/callable.h"
#include "pronghorn/detail/export.h"
#include "pronghorn/size.h"
#include "pronghorn/task.h"
#include "pronghorn/temporary_file.h"

namespace pronghorn {

class Part;

namespace detail {
class MultipartReader;
}

// Limits on what the handler reads; a request that exceeds one is answered 413. 0: only the route's max_body limits.
struct MultipartLimits {
  std::uint32_t parts = 1000;
  std::uint32_t head_bytes = 8 * 1024;  // header fields of one part
  std::uint64_t field_bytes = 1_MiB;    // content of a part without a filename
  std::uint64_t file_bytes = 0;         // content of a part with a filename
};

// The body, from request.multipart(). Must not outlive the request. Its parts must not outlive it. While it is in use,
// the handler must not call the request's body(), read() or form().
class PRONGHORN_API Multipart {
 public:
  explicit Multipart(std::unique_ptr<detail::MultipartReader> reader) noexcept;  // for Request
  Multipart(Multipart&& other) noexcept;
  Multipart& operator=(Multipart&& other) noexcept;
  ~Multipart();

  // The next part, in the order of the body; nullopt after the last one, once the whole body has arrived. Skips the
  // unread rest of the previous part.
  [[nodiscard]] Task<std::optional<Part>> next();

 private:
  std::unique_ptr<detail::MultipartReader> reader_;
};

// One part. Its content can be read once, until the next part is requested; reading it later throws std::logic_error.
//
// name(), filename() and content_type() come from the client: any bytes but control characters. Never use a filename as
// a path: it may be "../../etc/passwd", empty, or a thousand characters long.
class PRONGHORN_API Part {
 public:
  Part(detail::MultipartReader& reader, std::string name, std::optional<std::string> filename, std::string content_type,
       std::uint32_t number) noexcept;  // for Multipart

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Present if the part is a file; "" if the user chose none. As sent: browsers write "%22" for a quotation mark. The
  // parameter filename*, which RFC 7578 section 4.2 does not allow, is ignored.
  [[nodiscard]] const std::optional<std::string>& filename() const noexcept { return filename_; }
  // "image/png"; empty if the client sent none, which means text/plain.
  [[nodiscard]] const std::string& content_type() const noexcept { return content_type_; }

  // The next piece of the content as it arrives, nullopt at its end. The view is valid until the next call.
  [[nodiscard]] Task<std::optional<std::string_view>> read();
  // The rest of the content in memory. Throws HttpError 413 if it is larger than `max_bytes`.
  [[nodiscard]] Task<std::string> body(std::uint64_t max_bytes = 1_MiB);
  // The rest of the content in a temporary file in `directory` (see TemporaryFile).
  [[nodiscard]] Task<TemporaryFile> save(std::string directory = {});
  // Passes the rest of the content to `sink`, piece by piece: void(std::string_view), or Task<void>(std::string_view),
  // which is awaited before the next read. Pass a sink that owns something as a variable (see pronghorn/offload.h).
  template <class Sink>
    requires std::invocable<std::decay_t<Sink>&, std::string_view>
  [[nodiscard]] Task<void> write_to(Sink&& sink) {
    detail::check_awaited_callable<Sink>();
    return pass_to<std::decay_t<Sink>>(std::forward<Sink>(sink));
  }

 private:
  template <class Sink>
  Task<void> pass_to(Sink sink) {
    while (const auto piece = co_await read()) {
      if constexpr (std::is_void_v<std::invoke_result_t<Sink&, std::string_view>>) {
        sink(*piece);
      } else {
        co_await sink(*piece);
      }
    }
  }

  detail::MultipartReader* reader_;
  std::string name_;
  std::optional<std::string> filename_;
  std::string content_type_;
  std::uint32_t number_;  // 1 for the first
};

}  // namespace pronghorn
