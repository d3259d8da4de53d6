// The response to a request: a value that a handler constructs and returns.
//
// Context: any thread may construct one; a returned response belongs to the server.
// Errors:  an invalid header name (not a token, RFC 9110 section 5.6.2), or a value with CR, LF, NUL or another control
//          character, throws std::invalid_argument where it is set, so a client's text cannot split a response. Blanks
//          around a value are removed.
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

namespace detail {
class OpenFile;
}

// Writes the body of a streamed response. Must not be used after its producer has ended.
class PRONGHORN_API Writer {
 public:
  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  virtual ~Writer() = default;

  // Sends `data` no later than the end of this turn of the loop; what cannot be sent at once is copied. Suspends while
  // more than 64 KiB wait for a slow client; after write_timeout without progress, its connection is closed. If the
  // client disconnects, the coroutine is destroyed at its suspension point: at the next write, or within about two
  // seconds of the client closing. Branches of when_all() may write; one call's data stays together.
  [[nodiscard]] virtual Task<void> write(std::string_view data) = 0;

  // Adds a field to the trailer section after the body (RFC 9110 section 6.5), such as a checksum. Announce it with the
  // response field Trailer. HTTP/1.0 clients, which get no chunks, do not get it. Throws std::invalid_argument for an
  // invalid name, a field that is not allowed in a trailer (framing, routing, content), or a control character in the
  // value.
  virtual void trailer(std::string_view name, std::string_view value) = 0;
};

// Attributes of a Set-Cookie field (RFC 6265bis section 4.1).
struct CookieOptions {
  enum class SameSite { lax, strict, none };
  std::string path = "/";   // empty: the attribute is not sent
  std::string domain = {};  // empty: this host only
  // Absent: until the browser closes. Zero or less deletes the cookie.
  std::optional<std::chrono::seconds> max_age = {};
  bool secure = false;
  bool http_only = true;
  SameSite same_site = SameSite::lax;
};

namespace detail {
// A part of a file, which stays open as long as this exists.
struct FilePart {
  FilePart(std::shared_ptr<const OpenFile> of, std::uint64_t first, std::uint64_t count) noexcept
      : file(std::move(of)), offset(first), length(count) {}
  FilePart(const FilePart&) = delete;
  FilePart& operator=(const FilePart&) = delete;
  PRONGHORN_API ~FilePart();
  std::shared_ptr<const OpenFile> file;
  std::uint64_t offset;
  std::uint64_t length;
};
// What the connection becomes after a response with status 101.
class Upgrade {
 public:
  Upgrade() = default;
  Upgrade(const Upgrade&) = delete;
  Upgrade& operator=(const Upgrade&) = delete;
  virtual ~Upgrade() = default;
  // What another worker needs to go on with it. Valid until the next call.
  [[nodiscard]] virtual std::string_view state() = 0;
};
}  // namespace detail

// A status, header fields and a body. The server adds Date, Server, Connection, and Content-Length or
// Transfer-Encoding. Setting one of the last three, Keep-Alive, Proxy-Connection or TE throws std::invalid_argument.
//
// Setters return the response, so calls can be chained: return text("made", 201).set("Location", "/users/7");
// If something is set twice, the last call wins.
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
  // `status` is 200..599; any other value is logged and answered 500, because only the server sends 1xx.
  Response& status(int status) & noexcept {
    status_ = status;
    return *this;
  }

  // Replaces every field of that name (compared without case).
  Response& set(std::string_view name, std::string_view value) &;
  // Adds a field and keeps others of the same name. Content-Type, which occurs only once, is replaced.
  Response& append(std::string_view name, std::string_view value) &;
  // Removes every field of that name.
  Response& remove(std::string_view name) &;
  // The first field of that name. The view is valid until the response changes.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept;

  // Adds a Set-Cookie field; two calls with the same name add two. Throws std::invalid_argument for an invalid name,
  // path or domain, a value with a character outside RFC 6265 section 4.1.1, more than 4096 bytes of name and value, a
  // __Host- or __Secure- name without the attributes that its prefix requires, and SameSite::none without `secure`:
  // browsers ignore all these.
  Response& cookie(std::string_view name, std::string_view value, const CookieOptions& options = {}) &;

  // The body if it is held in memory; empty for streams and files.
  [[nodiscard]] const std::string& body() const noexcept { return body_; }
  // Replaces the body, even if it is a stream or a file.
  Response& body(std::string body) & noexcept;
  [[nodiscard]] std::string_view content_type() const noexcept { return content_type_; }
  Response& content_type(std::string_view type) &;

  // The same for a temporary. They return a value, so a reference to the result of a chain stays valid.
  [[nodiscard]] Response status(int status) && noexcept { return std::move(this->status(status)); }
  [[nodiscard]] Response set(std::string_view name, std::string_view value) && {
    return std::move(this->set(name, value));
  }
  [[nodiscard]] Response append(std::string_view name, std::string_view value) && {
    return std::move(this->append(name, value));
  }
  [[nodiscard]] Response remove(std::string_view name) && { return std::move(this->remove(name)); }
  [[nodiscard]] Response cookie(std::string_view name, std::string_view value, const CookieOptions& options = {}) && {
    return std::move(this->cookie(name, value, options));
  }
  [[nodiscard]] Response body(std::string body) && noexcept { return std::move(this->body(std::move(body))); }
  [[nodiscard]] Response content_type(std::string_view type) && { return std::move(this->content_type(type)); }

 private:
  friend class ResponseAccess;

  int status_ = 200;
  bool ends_on_drain_ = false;     // a stream that does not end by itself: see events()
  std::string_view content_type_;  // a literal, or a view of own_type_; empty: no Content-Type field
  std::unique_ptr<std::string> own_type_;
  std::string fields_;  // the other fields, rendered: "Name: value\r\n" each
  std::string body_;
  std::unique_ptr<detail::FilePart> file_;
  std::unique_ptr<Producer> producer_;
  std::unique_ptr<detail::Upgrade> upgrade_;
};

// Responses with a whole body. text, html and JSON are UTF-8.
[[nodiscard]] PRONGHORN_API Response text(std::string body, int status = 200);
[[nodiscard]] PRONGHORN_API Response html(std::string body, int status = 200);
[[nodiscard]] PRONGHORN_API Response bytes(std::string body,
                                           std::string_view content_type = "application/octet-stream");
// `body` is JSON text; to make JSON from values, use json_response() of pronghorn/json.h.
[[nodiscard]] PRONGHORN_API Response json_text(std::string body, int status = 200);
[[nodiscard]] PRONGHORN_API Response no_content();  // 204

// Redirects to `location`, an absolute or relative reference. Percent-encode what comes from a client. Throws
// std::invalid_argument if `status` is not 301, 302, 303, 307 or 308.
[[nodiscard]] PRONGHORN_API Response redirect(std::string_view location, int status = 303);

// An error as RFC 9457 problem details (application/problem+json). The server adds the request id.
[[nodiscard]] PRONGHORN_API Response problem(int status, std::string_view detail = {});

// A body that is produced while it is sent: chunked for HTTP/1.1, until close for HTTP/1.0. The server calls `producer`
// once, on the loop, after the handler has returned, so it must own what it captures. The handler has to read the
// request's body: by now the rest of it is dropped, and reading it throws std::logic_error. If a producer throws, the
// connection is reset, so that the client cannot mistake a part for the whole.
[[nodiscard]] PRONGHORN_API Response stream(std::string_view content_type, Response::Producer producer);

// A whole regular file, which this call opens. Throws HttpError 404 if there is no such file, 503 if the process has no
// descriptor left; std::system_error (answered 500) if it cannot be opened for another reason. A file of /proc or /sys,
// which does not tell its size, is read whole by this call; std::runtime_error (500) if it has more than 1 MiB. Never
// build `path` from a client's text: use App::serve_files for that.
[[nodiscard]] PRONGHORN_API Response file(const std::string& path, std::string_view content_type = {});

}  // namespace pronghorn
