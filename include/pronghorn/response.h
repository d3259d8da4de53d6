// The answer to a request: a value that a handler makes and returns.
//
// Context: any thread may make one; once returned it belongs to the server.
// Errors:  a header name that is no token (RFC 9110 section 5.6.2), or a value with CR, LF, NUL or another control
//          character, throws std::invalid_argument where it is set: a response can not be split.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

namespace worker {
class OpenFile;
}

// Where a streamed response is written. Lives as long as its producer runs.
class PRONGHORN_API Writer {
 public:
  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  virtual ~Writer() = default;

  // Sends `data`, which the Writer copies when it cannot be sent at once, at the end of this turn of the loop at the
  // latest. Suspends while the client has not taken what was written before (more than 64 KiB is waiting); one that
  // takes nothing for write_timeout is cut. When the client leaves, the coroutine is destroyed where it is suspended,
  // as if an exception had passed. That is noticed at the next write, or within about two seconds if the client has
  // said so. Branches of when_all() may write; what each writes at a time stays together.
  [[nodiscard]] virtual Task<void> write(std::string_view data) = 0;

  // Adds a field to the trailer section, which follows the body (RFC 9110 section 6.5): a checksum, say. A client that
  // does not get chunks (HTTP/1.0) does not get it either. Announce it with a field Trailer of the response. A name
  // that is no token or that a trailer may not have (of framing, routing or the content), or a value with a control
  // character, throws std::invalid_argument.
  virtual void trailer(std::string_view name, std::string_view value) = 0;
};

// Attributes of a Set-Cookie field (RFC 6265bis section 4.1).
struct CookieOptions {
  enum class SameSite { lax, strict, none };
  std::string path = "/";   // empty: the attribute is not sent
  std::string domain = {};  // empty: this host only
  std::optional<std::chrono::seconds> max_age =
      {};  // absent: until the browser closes; zero or less deletes the cookie
  bool secure = false;
  bool http_only = true;
  SameSite same_site = SameSite::lax;
};

namespace detail {
// Part of a file, which it keeps open.
struct FilePart {
  FilePart(std::shared_ptr<const worker::OpenFile> of, std::uint64_t first, std::uint64_t count) noexcept
      : file(std::move(of)), offset(first), length(count) {}
  FilePart(const FilePart&) = delete;
  FilePart& operator=(const FilePart&) = delete;
  PRONGHORN_API ~FilePart();
  std::shared_ptr<const worker::OpenFile> file;
  std::uint64_t offset;
  std::uint64_t length;
};
}  // namespace detail

// A status, header fields and a body. The server adds Date, Server, Content-Length or Transfer-Encoding and
// Connection; setting one of the last three is an error (std::invalid_argument), as they describe the connection.
class PRONGHORN_API Response {
 public:
  using Producer = std::function<Task<void>(Writer&)>;

  Response() noexcept = default;  // 200 with an empty body
  explicit Response(int status) : status_(status) {}
  Response(int status, std::string body, std::string_view content_type);

  Response(Response&&) noexcept = default;
  Response& operator=(Response&&) noexcept = default;
  Response(const Response&) = delete;
  Response& operator=(const Response&) = delete;
  ~Response() = default;

  [[nodiscard]] int status() const noexcept { return status_; }
  // 200..599; 1xx are the server's own. Another value is answered 500.
  Response& status(int status) & noexcept {
    status_ = status;
    return *this;
  }

  // Replaces every field of that name (compared without case).
  Response& set(std::string_view name, std::string_view value) &;
  // Adds a field beside those of the same name.
  Response& append(std::string_view name, std::string_view value) &;
  Response& remove(std::string_view name);
  // The first field of that name. The view lives until the response is changed.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept;

  // Adds a Set-Cookie field. Throws std::invalid_argument for a name that is no token, a value with a character that
  // RFC 6265 section 4.1.1 does not allow, or a __Host- / __Secure- name without what the prefix demands.
  Response& cookie(std::string_view name, std::string_view value, const CookieOptions& options = {}) &;

  // The body when it is held whole; empty for streams and files.
  [[nodiscard]] const std::string& body() const noexcept { return body_; }
  Response& body(std::string body) noexcept;
  Response& content_type(std::string_view type);
  [[nodiscard]] std::string_view content_type() const noexcept { return content_type_; }

  // The same for a response that is being made: return text("Created", 201).set("Location", "/users/7");
  Response&& status(int status) && noexcept { return std::move(this->status(status)); }
  Response&& set(std::string_view name, std::string_view value) && { return std::move(this->set(name, value)); }
  Response&& append(std::string_view name, std::string_view value) && { return std::move(this->append(name, value)); }
  Response&& cookie(std::string_view name, std::string_view value, const CookieOptions& options = {}) && {
    return std::move(this->cookie(name, value, options));
  }

 private:
  friend class ResponseAccess;

  int status_ = 200;
  bool ends_on_drain_ = false;     // a stream that has no end of its own: see events()
  std::string_view content_type_;  // a literal, or a view of own_type_; empty: no Content-Type field
  std::unique_ptr<std::string> own_type_;
  std::string fields_;  // the other fields, rendered: "Name: value\r\n" each
  std::string body_;
  std::unique_ptr<detail::FilePart> file_;
  std::unique_ptr<Producer> producer_;
};

// 200 with a whole body. The charset of text, html and json is UTF-8.
[[nodiscard]] PRONGHORN_API Response text(std::string body, int status = 200);
[[nodiscard]] PRONGHORN_API Response html(std::string body, int status = 200);
[[nodiscard]] PRONGHORN_API Response bytes(std::string body,
                                           std::string_view content_type = "application/octet-stream");
// JSON that is text already; pronghorn/json.h makes it from values.
[[nodiscard]] PRONGHORN_API Response json_text(std::string body, int status = 200);
[[nodiscard]] PRONGHORN_API Response no_content();  // 204

// `location` is an absolute or relative reference; what a field may not carry is refused (std::invalid_argument), so
// encode what comes from a client. `status` is one of 301, 302, 303, 307, 308.
[[nodiscard]] PRONGHORN_API Response redirect(std::string_view location, int status = 303);

// An error as RFC 9457 problem details (application/problem+json). The server adds the request id.
[[nodiscard]] PRONGHORN_API Response problem(int status, std::string_view detail = {});

// A body made while it is sent: chunked for HTTP/1.1, until close for HTTP/1.0. `producer` is called once, on the loop,
// after the handler has returned, so it owns what it captures. When it throws, the connection is cut so that the client
// cannot take a part for the whole.
[[nodiscard]] PRONGHORN_API Response stream(std::string_view content_type, Response::Producer producer);

// The whole of a regular file, opened now. Throws HttpError 404 if there is no such file, or 503 if the process has run
// out of descriptors; std::system_error, which is answered 500, if it cannot be opened for another reason. The path is
// the application's own: to serve what a client names, use App::serve_files.
[[nodiscard]] PRONGHORN_API Response file(const std::string& path, std::string_view content_type = {});

}  // namespace pronghorn
