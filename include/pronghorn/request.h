// One HTTP request as a handler sees it.
//
// Context:   the loop thread of the worker that received it.
// Ownership: the server owns it; a handler gets a reference that is valid until the handler (or its coroutine, or the
//            producer of its streamed response) has ended. Every string_view from it lives as long.
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

class Multipart;
class Session;
struct MultipartLimits;

namespace worker {
class Exchange;
}

struct Header {
  std::string_view name;  // as the client spelled it
  std::string_view value;
};

// Who asked, as far as it can be trusted: what a proxy says (Forwarded, X-Forwarded-*) counts only when the peer is in
// the networks of the option trusted_proxies.
struct Client {
  // "192.0.2.7", "2001:db8::1", or "unix". From a trusted proxy that does not tell the address: "unknown", or the name
  // that it gave its client, such as "_hidden" (RFC 7239 section 6).
  std::string address;
  std::uint16_t port = 0;  // 0 when unknown
};

// The fields of an application/x-www-form-urlencoded body, decoded, in order.
class PRONGHORN_API Form {
 public:
  Form() = default;
  explicit Form(std::vector<std::pair<std::string, std::string>> fields) : fields_(std::move(fields)) {}
  // The first field of that name.
  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const noexcept { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

namespace detail {

// Says what is wrong with a request's body, from an exception that reading it has led to; nullopt: another exception.
using BodyErrorText = std::optional<std::string> (*)(const std::exception_ptr& error);

// "id is not a whole number": thrown as 400 with the parameter's name.
[[noreturn]] PRONGHORN_API void throw_bad_parameter(std::string_view name, std::string_view text,
                                                    std::string_view wanted);

template <class T>
constexpr std::string_view wanted_kind() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_floating_point_v<T>) return "a number";
  if constexpr (std::is_unsigned_v<T>) return "a whole number of at least 0";
  return "a whole number";
}

// Text to T; anything left over or out of range is a 400 that names the parameter.
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

class PRONGHORN_API Request {
 public:
  explicit Request(worker::Exchange& exchange) noexcept : exchange_(exchange) {}  // for the server and TestClient
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] std::string_view method() const noexcept;        // "GET"
  [[nodiscard]] std::string_view target() const noexcept;        // as sent: "/a%20b?x=1"
  [[nodiscard]] std::string_view path() const noexcept;          // percent-decoded: "/a b"
  [[nodiscard]] std::string_view query_string() const noexcept;  // as sent, without '?': "x=1"
  // The path of the route that was chosen, as it was added: "/users/{id}". Empty before routing and when none matched.
  [[nodiscard]] std::string_view route() const noexcept;

  // A {name} of the route, percent-decoded, as T (text, bool or a number). A value that is no T is answered 400; a name
  // that the route does not have is a mistake of the application (std::logic_error).
  template <class T = std::string_view>
  [[nodiscard]] T param(std::string_view name) const {
    return detail::parse_parameter<T>(name, raw_param(name));
  }

  // The first query field of that name, percent-decoded ('+' is a space). Absent: nullopt; not a T: 400.
  template <class T = std::string>
  [[nodiscard]] std::optional<T> query(std::string_view name) const {
    static_assert(!std::is_same_v<T, std::string_view>, "a decoded query value is a std::string");
    const std::optional<std::string> text = raw_query(name);
    if (!text) return std::nullopt;
    return detail::parse_parameter<T>(name, *text);
  }

  // The values of all query fields of that name, in order, as query() reads one: "?tag=a&tag=b". Empty if there is
  // none.
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

  // The whole body, read up to the route's max_body (413 when there is more). May be called again: the same view.
  // After read() it yields what has not been read; a later read() ends the view.
  [[nodiscard]] Task<std::string_view> body();
  // The next piece of the body as it arrives, nullopt at its end. The view lives until the next call. While a handler
  // does not read, at most 64 KiB are buffered and the client is held back.
  [[nodiscard]] Task<std::optional<std::string_view>> read();
  // Throws HttpError 415 with Accept-Encoding (RFC 9110 section 12.5.3) if the body has a content coding such as gzip.
  // form(), multipart() and json_body() do this; call it before body() or read() if you cannot decode either.
  void refuse_content_coding() const;
  // The decoded fields of an application/x-www-form-urlencoded body, at most 1000 (413 above). Another content type or
  // a content coding is answered 415, a malformed percent-encoding 400.
  [[nodiscard]] Task<Form> form();
  // The parts of a multipart/form-data body, read one by one as they arrive: see pronghorn/multipart.h. Another content
  // type is answered 415, a boundary that can not be 400.
  [[nodiscard]] Task<Multipart> multipart();
  [[nodiscard]] Task<Multipart> multipart(MultipartLimits limits);

  // The id of the last event that an EventSource has got before it connects again; empty when it has got none. Text of
  // the client's. See pronghorn/events.h.
  [[nodiscard]] std::string_view last_event_id() const noexcept;

  // A field that followed a chunked body (RFC 9110 section 6.5), once the body has been read to its end. Trailers are
  // never mixed with the header fields: what they say was not known when the request was routed.
  [[nodiscard]] std::optional<std::string_view> trailer(std::string_view name) const noexcept;

  // Sends 103 Early Hints (RFC 8297) with a Link field for each of `links`, so that a browser begins to load while the
  // handler works: "</style.css>; rel=preload; as=style". Does nothing unless the option early_hints is on, for HTTP/1.0
  // clients, and once the response has begun. A link with a control character throws std::invalid_argument.
  void early_hints(std::initializer_list<std::string_view> links);

  // The session of this client: one round trip to Redis, once a request (none when the client sent no session cookie).
  // Redis away: answered 503 with Retry-After. See pronghorn/session.h.
  [[nodiscard]] Task<Session> session();

  // These three as the client's first trusted proxy saw them; see Client.
  [[nodiscard]] const Client& client() const;
  [[nodiscard]] std::string_view scheme() const noexcept;  // "http" or "https", as the client used it
  [[nodiscard]] std::string_view host() const noexcept;    // the authority that the client asked for, with its port

  // Names the request in logs, crash reports, problem+json bodies and the response's X-Request-Id. It is the X-Request-Id
  // of a trusted proxy if that is valid (1 to 128 letters, digits and . _ ~ + / = : @ -), else 24 hex digits that are
  // unique over workers and restarts.
  [[nodiscard]] std::string_view id() const;
  // The traceparent (W3C Trace Context) to send with calls to other services: the caller's trace if it sent a valid
  // one, else a new trace. 55 bytes.
  [[nodiscard]] std::string_view traceparent() const;
  // When the handler's time is up (504); the end of time when the route has no deadline.
  [[nodiscard]] std::chrono::steady_clock::time_point deadline() const noexcept;

  // A value of any type that middleware leaves for those after it; one per type. Returns the stored value.
  template <class T>
  T& attach(T value) {
    auto* stored = new T(std::move(value));
    store_attachment(typeid(T), stored, [](void* object) { delete static_cast<T*>(object); });
    return *stored;
  }
  // Null when none was attached.
  template <class T>
  [[nodiscard]] T* attachment() const noexcept {
    return static_cast<T*>(find_attachment(typeid(T)));
  }

  // From now on an exception of the handler that `text` knows is answered 400, with its text as the detail. For readers
  // of bodies such as json_body(). The last call wins.
  void explain_errors(detail::BodyErrorText text) noexcept;

  [[nodiscard]] worker::Exchange& exchange() const noexcept { return exchange_; }  // for the server

 private:
  [[nodiscard]] std::string_view raw_param(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> raw_query(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> raw_query_all(std::string_view name) const;
  // Takes ownership of `object`, also when it throws.
  void store_attachment(const std::type_info& type, void* object, void (*destroy)(void*));
  [[nodiscard]] void* find_attachment(const std::type_info& type) const noexcept;

  worker::Exchange& exchange_;
};

}  // namespace pronghorn
