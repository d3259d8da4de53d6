// The parts of a multipart/form-data body (RFC 7578), one by one as they arrive: fields and files of an HTML form.
//
//   Multipart form = co_await request.multipart();
//   while (auto part = co_await form.next()) {
//     if (part->name() == "photo") { TemporaryFile photo = co_await part->save(); … }
//   }
//
// Nothing is held in memory but the piece that has arrived; a client is held back while the handler is busy. The
// route's max_body is the limit of the whole body, so a route for uploads raises it.
//
// Context: the handler's coroutine.
// Errors:  what the client does wrong throws HttpError, which answers it: 400 for a malformed body, 413 for one that is
//          over a limit.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pronghorn/detail/export.h"
#include "pronghorn/size.h"
#include "pronghorn/task.h"
#include "pronghorn/temporary_file.h"

namespace pronghorn {

class Part;

namespace worker {
class MultipartReader;
struct PartHead;
}  // namespace worker

// Above one of these the request is answered 413. 0: no limit but the route's max_body.
struct MultipartLimits {
  std::uint32_t parts = 1000;
  std::uint32_t head_bytes = 8 * 1024;  // of the fields of one part
  std::uint64_t field_bytes = 1_MiB;    // of the content of a part without a filename
  std::uint64_t file_bytes = 0;         // of one with
};

// What request.multipart() gives. The request outlives it; it outlives its parts. While it is in use, the handler does
// not read the request's body in another way.
class PRONGHORN_API Multipart {
 public:
  explicit Multipart(std::unique_ptr<worker::MultipartReader> reader) noexcept;  // for Request
  Multipart(Multipart&& other) noexcept;
  Multipart& operator=(Multipart&& other) noexcept;
  ~Multipart();

  // The next part, in the order in which the client sent them; nullopt after the last, when the whole body has arrived.
  // What was not read of the part before is skipped.
  [[nodiscard]] Task<std::optional<Part>> next();

 private:
  std::unique_ptr<worker::MultipartReader> reader_;
};

// One part. Its content can be read, once, until the next part is asked for; later it throws std::logic_error.
//
// name(), filename() and content_type() are text of the client's, any bytes but control characters, and nothing is
// promised about them. A filename is never a path: it may be "../../etc/passwd", empty, or a thousand characters long.
class PRONGHORN_API Part {
 public:
  Part(worker::MultipartReader& reader, worker::PartHead head, std::uint32_t number);  // for Multipart

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Present when the part is a file; "" when the form's field for a file was left empty. As sent: browsers write "%22"
  // for a quotation mark. The parameter filename* is ignored, as RFC 7578 section 4.2 does not allow it.
  [[nodiscard]] const std::optional<std::string>& filename() const noexcept { return filename_; }
  // "image/png"; empty when the client says nothing, which means text/plain.
  [[nodiscard]] const std::string& content_type() const noexcept { return content_type_; }

  // The next piece of the content as it arrives, nullopt at its end. The view lives until the next call.
  [[nodiscard]] Task<std::optional<std::string_view>> read();
  // What is left of the content, in memory; 413 when that is more than `max_bytes`.
  [[nodiscard]] Task<std::string> body(std::uint64_t max_bytes = 1_MiB);
  // What is left of the content, in a temporary file in `directory` (see TemporaryFile).
  [[nodiscard]] Task<TemporaryFile> save(std::string directory = {});
  // What is left of the content, piece by piece to `sink`: void(std::string_view) or Task<void>(std::string_view),
  // which is awaited before more is read.
  template <std::invocable<std::string_view> Sink>
  [[nodiscard]] Task<void> write_to(Sink sink) {
    while (const auto piece = co_await read()) {
      if constexpr (std::is_void_v<std::invoke_result_t<Sink&, std::string_view>>) {
        sink(*piece);
      } else {
        co_await sink(*piece);
      }
    }
  }

 private:
  worker::MultipartReader* reader_;
  std::string name_;
  std::optional<std::string> filename_;
  std::string content_type_;
  std::uint32_t number_;  // 1 for the first
};

}  // namespace pronghorn
