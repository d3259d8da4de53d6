// Reads multipart/form-data bodies (RFC 7578): the fields and files of an HTML form, one by one as they arrive.
//
//   Multipart form = co_await request.multipart();
//   while (auto part = co_await form.next()) {
//     if (part->name() == "photo") { TemporaryFile photo = co_await part->save(); … }
//   }
//
// Only the piece that has just arrived is held in memory. While the handler is busy, the server stops reading from the
// client. The route's max_body limits the whole body, so a route for uploads should raise it.
//
// Context: the coroutine of the handler.
// Errors:  throws HttpError, which the handler can leave to the server: 400 for a malformed body, 413 if a limit is
//          exceeded.
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

// A request that exceeds one of these is answered 413. 0 means no limit other than the route's max_body.
struct MultipartLimits {
  std::uint32_t parts = 1000;           // the number of parts
  std::uint32_t head_bytes = 8 * 1024;  // the header fields of one part
  std::uint64_t field_bytes = 1_MiB;    // the content of a part without a filename
  std::uint64_t file_bytes = 0;         // the content of a part with a filename
};

// Made by request.multipart(). Must not outlive the request, and its parts must not outlive it. Do not also call body()
// or read() of the request: they take bytes away from the parser.
class PRONGHORN_API Multipart {
 public:
  explicit Multipart(std::unique_ptr<worker::MultipartReader> reader) noexcept;  // for Request
  Multipart(Multipart&& other) noexcept;
  Multipart& operator=(Multipart&& other) noexcept;
  ~Multipart();

  // The next part in the order of the body; nullopt after the last part, once the whole body has arrived. Skips what
  // has not been read of the previous part.
  [[nodiscard]] Task<std::optional<Part>> next();

 private:
  std::unique_ptr<worker::MultipartReader> reader_;
};

// One part of a form. Its content can be read once, and only before the next call of Multipart::next(); reading it
// later throws std::logic_error.
//
// name(), filename() and content_type() come from the client and may be any bytes except control characters. Never use
// a filename as a path: it can be "../../etc/passwd", empty, or a thousand characters long.
class PRONGHORN_API Part {
 public:
  Part(worker::MultipartReader& reader, worker::PartHead head, std::uint32_t number);  // for Multipart

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Present if the part is a file; "" if the file field of the form was left empty. Not decoded: browsers send "%22"
  // for a quotation mark. The parameter filename* is ignored; RFC 7578 section 4.2 forbids it.
  [[nodiscard]] const std::optional<std::string>& filename() const noexcept { return filename_; }
  // For example "image/png". Empty if the client sent none, which means text/plain.
  [[nodiscard]] const std::string& content_type() const noexcept { return content_type_; }

  // The next piece of the content as it arrives; nullopt at the end. The view is valid until the next call.
  [[nodiscard]] Task<std::optional<std::string_view>> read();
  // Reads the rest of the content into memory. Throws HttpError 413 if it exceeds `max_bytes`.
  [[nodiscard]] Task<std::string> body(std::uint64_t max_bytes = 1_MiB);
  // Writes the rest of the content to a temporary file in `directory`; see TemporaryFile.
  [[nodiscard]] Task<TemporaryFile> save(std::string directory = {});
  // Calls `sink` with each piece of the rest of the content. A sink is void(std::string_view) or
  // Task<void>(std::string_view); a task is awaited before more is read.
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
