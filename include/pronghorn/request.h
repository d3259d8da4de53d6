// One HTTP request as a handler sees it.
//
// Context:   loop thread of the worker that received the request.
// Ownership: the server owns the request. The reference that a handler gets, and every string_view from it, stay valid
//            until the handler, its coroutine or the producer of its streamed response has ended.
#pragma once

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "pronghorn/detail/export.h"
#include "pronghorn/error.h"
#include "pronghorn/task.h"

namespace pronghorn {

class Cache;
class Events;
class Jobs;
class Multipart;
class Presence;
class Redis;
class Session;
class Sockets;
struct ClientCertificate;
class Token;
class Worker;
struct MultipartLimits;

namespace detail {

class Exchange;

// Describes what is wrong with a request's body, given an exception from reading it; nullopt for any other exception.
using BodyErrorText = std::optional<std::string> (*)(const std::exception_ptr& error);

// Throws HttpError 400: "id must be a whole number, not \"seven\"".
[[noreturn]] PRONGHORN_API void throw_bad_parameter(std::string_view name, std::string_view text,
                                                    std::string_view wanted);

template <class T>
constexpr std::string_view wanted_kind() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_floating_point_v<T>) return "a number";
  if constexpr (std::is_unsigned_v<T>) return "a whole number of at least 0";
  return "a whole number";
}

// Converts text to a T. Throws HttpError 400, naming the parameter, if any of the text is left over or out of range.
template <class T>
T parse_parameter(std::string_view name, std::string_view text) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return text;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return std::string(text);
  } else if constexpr (std::is_same_v<T, bool>) {
    if (text == "true" || text == "1") return true;
    if (text == "false" || text == "0") return false;
    throw_bad_parameter(name, text, wanted_kind<T>());
  } else {
    static_assert(std::is_arithmetic_v<T>, "a parameter is text, bool or a number");
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool valid = error == std::errc{} && end == text.data() + text.size();
    if constexpr (std::is_floating_point_v<T>) valid = valid && std::isfinite(value);
    if (!valid) throw_bad_parameter(name, text, wanted_kind<T>());
    return value;
  }
}

}  // namespace detail

// The fields of an application/x-www-form-urlencoded body, decoded, in the order in which the client sent them.
class PRONGHORN_API Form {
 public:
  Form() = default;
  explicit Form(std::vector<std::pair<std::string, std::string>> fields) : fields_(std::move(fields)) {}

  // The first field of that name as a T (text, bool or a number). nullopt if absent. Throws HttpError 400 if not a T.
  template <class T = std::string>
  [[nodiscard]] std::optional<T> get(std::string_view name) const {
    for (const auto& [field, value] : fields_) {
      if (field == name) return detail::parse_parameter<T>(name, value);
    }
    return std::nullopt;
  }
  // Every field of that name.
  template <class T = std::string>
  [[nodiscard]] std::vector<T> get_all(std::string_view name) const {
    std::vector<T> values;
    for (const auto& [field, value] : fields_) {
      if (field == name) values.push_back(detail::parse_parameter<T>(name, value));
    }
    return values;
  }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const& noexcept { return fields_; }
  // Of a temporary: for (const auto& [name, value] : (co_await request.form()).fields()) ...
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> fields() && { return std::move(fields_); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

class PRONGHORN_API Request {
 public:
  struct Header {
    std::string_view name;  // as the client spelled it
    std::string_view value;
  };
  struct Client {
    // "192.0.2.7", "2001:db8::1", or "unix". If a trusted proxy hides the address: "unknown", or the name that it gave
    // its client, such as "_hidden" (RFC 7239 section 6).
    std::string address;
    std::uint16_t port = 0;  // 0 if unknown
  };

  explicit Request(detail::Exchange& exchange) noexcept : exchange_(exchange) {}  // for the server
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] std::string_view method() const noexcept;        // "GET"
  [[nodiscard]] std::string_view target() const noexcept;        // as sent: "/a%20b?x=1"
  [[nodiscard]] std::string_view path() const noexcept;          // percent-decoded: "/a b"
  [[nodiscard]] std::string_view query_string() const noexcept;  // as sent, without '?': "x=1"
  // The path of the matching route as it was added: "/users/{id}". Empty if no route matches.
  [[nodiscard]] std::string_view route() const noexcept;

  // The value of {name} in the route's path, percent-decoded, as a T (text, bool or a number). Throws HttpError 400 if
  // the value is not a T, std::logic_error if the route has no {name}.
  template <class T = std::string_view>
  [[nodiscard]] T param(std::string_view name) const {
    return detail::parse_parameter<T>(name, raw_param(name));
  }

  // The first query parameter of that name, decoded ('+' is a space), as a T. nullopt if absent. Throws HttpError 400
  // if the value is not a T or the query is malformed.
  template <class T = std::string>
  [[nodiscard]] std::optional<T> query(std::string_view name) const {
    static_assert(!std::is_same_v<T, std::string_view>, "a decoded query value is a std::string");
    const std::optional<std::string> text = raw_query(name);
    if (!text) return std::nullopt;
    return detail::parse_parameter<T>(name, *text);
  }
  // Every query parameter of that name, in order: "?tag=a&tag=b".
  template <class T = std::string>
  [[nodiscard]] std::vector<T> query_all(std::string_view name) const {
    static_assert(!std::is_same_v<T, std::string_view>, "a decoded query value is a std::string");
    std::vector<T> values;
    for (const std::string& text : raw_query_all(name)) values.push_back(detail::parse_parameter<T>(name, text));
    return values;
  }

  // The first field of that name, compared without case, without surrounding blanks.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const noexcept;
  [[nodiscard]] std::span<const Header> headers() const noexcept;
  // The value of the first cookie of that name, without quotation marks. Clients send cookies of longer paths first.
  [[nodiscard]] std::optional<std::string_view> cookie(std::string_view name) const noexcept;
  // The values of all cookies of that name, in order: a client may hold one for each path and domain.
  [[nodiscard]] std::vector<std::string_view> cookies(std::string_view name) const;

  // Reads the whole body. Throws HttpError 413 if it is larger than the route's max_body, 408 if it arrives too slowly,
  // 400 if its framing is malformed. Later calls return the same view. After read() it returns only the unread rest; a
  // later read() invalidates the view. Branches of when_all() may wait for it together.
  [[nodiscard]] Task<std::string_view> body();
  // The next piece of the body as it arrives, nullopt at its end. The view is valid until the next call. Throws as
  // body() does. At most 64 KiB are buffered: a client that sends faster than the handler reads has to wait.
  [[nodiscard]] Task<std::optional<std::string_view>> read();
  // Throws HttpError 415 with Accept-Encoding (RFC 9110 section 12.5.3) if the body has a content coding such as gzip.
  // form(), multipart() and json_body() do this; call it before body() or read() if you cannot decode such bodies.
  void refuse_content_coding() const;
  // Reads an application/x-www-form-urlencoded body. Throws HttpError 415 for another content type or a content coding,
  // 413 for more than 1000 fields, 400 for malformed percent-encoding.
  [[nodiscard]] Task<Form> form();
  // Reads a multipart/form-data body, part by part: see pronghorn/multipart.h. Throws HttpError 415 for another content
  // type or a content coding, 400 if the boundary is missing or invalid.
  [[nodiscard]] Task<Multipart> multipart();
  [[nodiscard]] Task<Multipart> multipart(MultipartLimits limits);

  // The id of the last event that an EventSource received before it reconnected; empty on its first connection. The
  // text comes from the client. See pronghorn/events.h.
  [[nodiscard]] std::string_view last_event_id() const noexcept;

  // A trailer field (RFC 9110 section 6.5) of a chunked body. nullopt until the body has been read to its end. Trailers
  // are not merged into the header fields, because they were unknown when the request was routed.
  [[nodiscard]] std::optional<std::string_view> trailer(std::string_view name) const noexcept;

  // Sends 103 Early Hints (RFC 8297) with one Link field per element of `links`, so that a browser preloads while the
  // handler works: "</style.css>; rel=preload; as=style". Does nothing unless the option early_hints is on, for
  // HTTP/1.0 clients, after the response has begun, and without a link. Throws std::invalid_argument if
  // a link contains a control character.
  void early_hints(std::initializer_list<std::string_view> links);

  // The client's session. The first call costs one round trip to Redis, or none if the client sent no session cookie.
  // Throws HttpError 503 with --redis none, RedisUnavailable (answered 503) if Redis is down. See pronghorn/session.h.
  [[nodiscard]] Task<Session> session();

  // The worker's Redis connection. Throws std::logic_error with --redis none.
  [[nodiscard]] Redis redis();
  // What is kept in Redis for all workers and machines: see pronghorn/cache.h, topics.h, jobs.h and presence.h. Each
  // throws std::logic_error with --redis none; presence() throws std::invalid_argument for an invalid topic.
  [[nodiscard]] Cache cache();
  [[nodiscard]] Events events();
  [[nodiscard]] Jobs jobs();
  [[nodiscard]] Presence presence(std::string_view topic);
  // All WebSockets, by their ids: see pronghorn/websocket.h.
  [[nodiscard]] Sockets sockets();
  // The token that require_token() has verified: see pronghorn/token.h. Throws std::logic_error on other routes.
  [[nodiscard]] const Token& token() const;
  // The application's state of type T in this worker, made by app.state<T>(). Throws std::logic_error if there is none.
  template <class T>
  [[nodiscard]] T& state() const {
    return *static_cast<T*>(require_state(typeid(T)));
  }
  // The worker that serves this request.
  [[nodiscard]] Worker& worker() const;

  // The client that sent the request, and the scheme and authority that it used. Forwarding fields count only if the
  // peer is in the option trusted_proxies; then these are the values that the first trusted proxy saw.
  [[nodiscard]] const Client& client() const;
  [[nodiscard]] std::string_view scheme() const noexcept;  // "http" or "https"
  [[nodiscard]] std::string_view host() const noexcept;    // with the port, if the client named one
  // The certificate with which the client has identified itself on this server's own TLS connection: see
  // pronghorn/client_certificate.h. Null if it has presented none, is not asked for one (option
  // tls_client_certificates), or the connection is not over TLS. Valid as long as the request.
  [[nodiscard]] const ClientCertificate* client_certificate() const noexcept;

  // Names the request in logs, crash reports, problem+json bodies and the response's X-Request-Id. It is the
  // X-Request-Id of a trusted proxy if that is valid (1 to 128 letters, digits and . _ ~ + / = : @ -), else 24 hex
  // digits that are unique across workers and restarts.
  [[nodiscard]] std::string_view id() const;
  // The traceparent (W3C Trace Context) to send with calls to other services: of the caller's trace if it sent a valid
  // one, else of a new trace. 55 bytes.
  [[nodiscard]] std::string_view traceparent() const;
  // When the server stops the handler and answers 504. time_point::max() if the route has no deadline.
  [[nodiscard]] std::chrono::steady_clock::time_point deadline() const noexcept;

  // Stores a value for middleware and handlers that run later; a second value of the same type replaces the first.
  // Destroyed with the request.
  template <class T>
  T& attach(T value) {
    auto* stored = new T(std::move(value));
    store_attachment(typeid(T), stored, [](void* object) { delete static_cast<T*>(object); });
    return *stored;
  }
  // The attached value of type T; null if there is none.
  template <class T>
  [[nodiscard]] T* attachment() const noexcept {
    return static_cast<T*>(find_attachment(typeid(T)));
  }

  // From now on, if an exception that `text` recognises escapes the handler, the client gets 400 with that text as the
  // detail. For readers of bodies such as json_body(). The last call wins.
  void explain_errors(detail::BodyErrorText text) noexcept;

  [[nodiscard]] detail::Exchange& exchange() const noexcept { return exchange_; }  // for the server

 private:
  [[nodiscard]] std::string_view raw_param(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> raw_query(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> raw_query_all(std::string_view name) const;
  [[nodiscard]] void* require_state(const std::type_info& type) const;
  // Takes ownership of `object`, even if it throws.
  void store_attachment(const std::type_info& type, void* object, void (*destroy)(void*));
  [[nodiscard]] void* find_attachment(const std::type_info& type) const noexcept;

  detail::Exchange& exchange_;
};

}  // namespace pronghorn
