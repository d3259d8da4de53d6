#include "pronghorn/response.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <stdexcept>
#include <system_error>
#include <tuple>

#include "pronghorn/error.h"
#include "worker/fields/characters.h"
#include "worker/fields/text.h"
#include "worker/http/head/cookies.h"
#include "worker/http/head/field_lines.h"
#include "worker/http/head/status_text.h"
#include "worker/http/open_error.h"
#include "worker/http/response_access.h"

namespace pronghorn {
namespace {

using worker::equal_ignoring_case;
using worker::find_field;
using worker::trim_blanks;

// Fields that describe connection, routing or content, or say who may see it (RFC 9110 section 6.5.1).
bool is_for_head_only(std::string_view name) noexcept {
  constexpr const char* kRouting[] = {"host", "trailer", "upgrade", "location"};
  constexpr const char* kControl[] = {"cache-control", "expires", "date", "age", "retry-after", "vary", "set-cookie"};
  constexpr const char* kAccess[] = {"authorization", "www-authenticate", "proxy-authenticate"};
  constexpr const char* kContent[] = {"content-type", "content-encoding", "content-range", "content-language",
                                      "content-location"};
  const auto is_name = [name](const char* other) { return equal_ignoring_case(name, other); };
  return std::ranges::any_of(kRouting, is_name) || std::ranges::any_of(kControl, is_name) ||
         std::ranges::any_of(kAccess, is_name) || std::ranges::any_of(kContent, is_name);
}

constexpr std::size_t kMostUnsized = 1024 * 1024;  // bytes of a file that has to be read to learn its size

// The file systems of the kernel (/proc, /sys) say that their files have no blocks, and 0 bytes or a page.
bool may_lie_about_size(const struct stat& facts) noexcept {
  return facts.st_blocks == 0 && facts.st_size <= static_cast<off_t>(kMostUnsized);
}

std::string read_whole(int fd, const std::string& path) {
  std::string content;
  char piece[16 * 1024];
  for (;;) {
    const ssize_t size = ::read(fd, piece, sizeof piece);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw std::system_error(errno, std::generic_category(), "cannot read " + path);
    if (size == 0) return content;
    content.append(piece, static_cast<std::size_t>(size));
    if (content.size() > kMostUnsized)
      throw std::runtime_error(path + " has more than 1 MiB, and does not tell its size");
  }
}

// Blanks around a value are no part of it, and clients of HTTP/2 refuse a response that has some (RFC 9113 section
// 8.2.1).
void append_line(std::string& fields, std::string_view name, std::string_view value) {
  value = trim_blanks(value);
  fields.reserve(fields.size() + name.size() + value.size() + 4);
  fields.append(name).append(": ").append(value).append("\r\n");
}

// Whether `value` is a view of what header() has returned.
bool is_part_of(const std::string& fields, std::string_view value) noexcept {
  return std::less_equal<>()(fields.data(), value.data()) && std::less<>()(value.data(), fields.data() + fields.size());
}

void check_cookie(std::string_view name, std::string_view value, const CookieOptions& options) {
  if (!worker::is_token(name)) throw std::invalid_argument("invalid cookie name: not a token (RFC 9110 section 5.6.2)");
  if (!worker::is_cookie_value(value)) {
    throw std::invalid_argument("invalid value of the cookie " + std::string(name) +
                                ": RFC 6265 does not allow one of its characters; encode it");
  }
  if (name.size() + value.size() > worker::kMaxCookie) {
    throw std::invalid_argument("the cookie " + std::string(name.substr(0, 64)) + " has " +
                                std::to_string(name.size() + value.size()) +
                                " bytes: browsers ignore those with more than " + std::to_string(worker::kMaxCookie));
  }
  if (!options.path.empty() && !worker::is_cookie_path(options.path)) {
    throw std::invalid_argument("invalid path of the cookie " + std::string(name) +
                                ": it begins with /, is ASCII, and has at most 1024 bytes");
  }
  if (!options.domain.empty() && !worker::is_cookie_domain(options.domain)) {
    throw std::invalid_argument("invalid domain of the cookie " + std::string(name) + ": not the name of a host");
  }
  if (worker::cookie_prefix::of_one_host(name) && (!options.secure || options.path != "/" || !options.domain.empty())) {
    throw std::invalid_argument("a __Host- cookie must be secure, with path / and without a domain");
  }
  if (worker::cookie_prefix::secure(name) && !options.secure) {
    throw std::invalid_argument("the cookie " + std::string(name) + " must be secure, because of its prefix");
  }
  if (worker::cookie_prefix::http_only(name) && !options.http_only) {
    throw std::invalid_argument("the cookie " + std::string(name) + " must be HttpOnly, because of its prefix");
  }
  if (options.same_site == CookieOptions::SameSite::none && !options.secure) {
    throw std::invalid_argument("a SameSite=None cookie must be secure");
  }
}

}  // namespace

void check_response_field(std::string_view name, std::string_view value) {
  if (!worker::is_token(name))
    throw std::invalid_argument("invalid response field name: not a token (RFC 9110 section 5.6.2)");
  if (!worker::is_field_value(value)) {
    throw std::invalid_argument("invalid value of the response field " + std::string(name) + ": control character");
  }
  // RFC 9110 section 7.6.1, RFC 9113 section 8.2.2.
  constexpr std::string_view kOwn[] = {"content-length", "transfer-encoding", "connection",
                                       "keep-alive",     "proxy-connection",  "te"};
  for (const std::string_view own : kOwn) {
    if (equal_ignoring_case(name, own)) {
      throw std::invalid_argument("the response field " + std::string(name) +
                                  " describes the connection or the framing, which are the server's");
    }
  }
}

std::string render_trailer(std::string_view name, std::string_view value) {
  check_response_field(name, value);
  if (is_for_head_only(name)) {
    throw std::invalid_argument("the field " + std::string(name) + " is not allowed as a trailer");
  }
  std::string line;
  append_line(line, name, value);
  return line;
}

void ResponseAccess::withdraw_upgrade(Response& response) {
  response.upgrade_.reset();
  for (const char* const name :
       {"Upgrade", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"}) {
    response.remove(name);
  }
}

detail::FilePart::~FilePart() = default;

Response::Response(int status, std::string body, std::string_view content_type)
    : status_(status), body_(std::move(body)) {
  this->content_type(content_type);
}

Response& Response::set(std::string_view name, std::string_view value) & {
  check_response_field(name, value);
  if (equal_ignoring_case(name, "content-type")) return content_type(value);
  if (is_part_of(fields_, value)) return set(name, std::string(value));
  remove(name);
  append_line(fields_, name, value);
  return *this;
}

Response& Response::append(std::string_view name, std::string_view value) & {
  check_response_field(name, value);
  if (equal_ignoring_case(name, "content-type")) return content_type(value);
  if (is_part_of(fields_, value)) return append(name, std::string(value));
  append_line(fields_, name, value);
  return *this;
}

Response& Response::remove(std::string_view name) & {
  if (equal_ignoring_case(name, "content-type")) content_type_ = {};
  for (auto [start, size] = find_field(fields_, name); start != std::string_view::npos;
       std::tie(start, size) = find_field(fields_, name)) {
    fields_.erase(start, size);
  }
  return *this;
}

std::optional<std::string_view> Response::header(std::string_view name) const noexcept {
  if (equal_ignoring_case(name, "content-type")) {
    if (content_type_.empty()) return std::nullopt;
    return content_type_;
  }
  const auto [start, size] = find_field(fields_, name);
  if (start == std::string_view::npos) return std::nullopt;
  const std::size_t prefix = name.size() + 2;
  return std::string_view(fields_).substr(start + prefix, size - prefix - 2);
}

Response& Response::cookie(std::string_view name, std::string_view value, const CookieOptions& options) & {
  check_cookie(name, value, options);
  std::string field(name);
  field.append("=").append(value);
  if (!options.path.empty()) field.append("; Path=").append(options.path);
  if (!options.domain.empty()) field.append("; Domain=").append(options.domain);
  if (options.max_age) field.append("; Max-Age=").append(std::to_string(options.max_age->count()));
  if (options.secure) field.append("; Secure");
  if (options.http_only) field.append("; HttpOnly");
  constexpr std::string_view kSameSite[] = {"; SameSite=Lax", "; SameSite=Strict", "; SameSite=None"};
  field.append(kSameSite[static_cast<std::size_t>(options.same_site)]);
  return append("Set-Cookie", field);
}

Response& Response::body(std::string body) & noexcept {
  body_ = std::move(body);
  file_.reset();
  producer_.reset();
  ends_on_drain_ = false;
  return *this;
}

Response& Response::content_type(std::string_view type) & {
  if (!worker::is_field_value(type)) throw std::invalid_argument("invalid content type: control character");
  own_type_ = std::make_unique<std::string>(trim_blanks(type));
  content_type_ = *own_type_;
  return *this;
}

Response text(std::string body, int status) {
  return ResponseAccess::literal_type(status, std::move(body), "text/plain; charset=utf-8");
}

Response html(std::string body, int status) {
  return ResponseAccess::literal_type(status, std::move(body), "text/html; charset=utf-8");
}

Response bytes(std::string body, std::string_view content_type) { return {200, std::move(body), content_type}; }

Response json_text(std::string body, int status) {
  return ResponseAccess::literal_type(status, std::move(body), "application/json");
}

Response no_content() { return Response(204); }

Response redirect(std::string_view location, int status) {
  if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308) {
    throw std::invalid_argument("redirect(): the status " + std::to_string(status) +
                                " is not that of a redirect; use 301, 302, 303, 307 or 308");
  }
  Response response(status);
  response.set("Location", location);
  return response;
}

Response problem(int status, std::string_view detail) {
  std::string body = R"({"type":"about:blank","title":")";
  body.append(worker::status_text(status)).append(R"(","status":)").append(std::to_string(status));
  if (!detail.empty()) {
    body.append(R"(,"detail":")");
    worker::append_json_escaped(body, detail);
    body.append("\"");
  }
  body.append("}");
  return ResponseAccess::literal_type(status, std::move(body), "application/problem+json");
}

Response stream(std::string_view content_type, Response::Producer producer) {
  return ResponseAccess::from_producer(content_type, std::move(producer));
}

Response file(const std::string& path, std::string_view content_type) {
  if (path.find('\0') != std::string::npos) throw not_found("no such file");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) worker::throw_open_error(path, errno);
  const auto opened = std::make_shared<const worker::OpenFile>(fd);
  struct stat facts{};
  if (::fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) throw not_found("no such file");
  Response response;
  if (may_lie_about_size(facts)) {
    std::string content = read_whole(fd, path);
    const std::size_t size = content.size();
    response = ResponseAccess::from_file(std::make_shared<const worker::OpenFile>(std::move(content)), 0, size);
  } else {
    response = ResponseAccess::from_file(opened, 0, static_cast<std::uint64_t>(facts.st_size));
  }
  if (!content_type.empty()) response.content_type(content_type);
  return response;
}

}  // namespace pronghorn
