#include "pronghorn/request.h"

#include <algorithm>
#include <stdexcept>

#include "common/text/utf8.h"
#include "worker/exchange/client_identity.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/characters.h"
#include "worker/fields/percent_encoding.h"
#include "worker/fields/text.h"
#include "worker/http/head/cookies.h"
#include "worker/http/head/field_lines.h"

namespace pronghorn {
namespace {

// Calls `visit` with the decoded value of each query field of that name until it returns false.
template <class Visit>
void for_each_query_field(std::string_view pairs, std::string_view name, Visit visit) {
  const auto decode = [](std::string_view text) {
    std::string decoded;
    if (worker::percent_decode(text, decoded, true)) return decoded;
    throw bad_request("the query is not percent-encoded correctly");
  };
  while (!pairs.empty()) {
    const std::size_t end = pairs.find('&');
    const std::string_view pair = pairs.substr(0, end);
    pairs = end == std::string_view::npos ? std::string_view{} : pairs.substr(end + 1);
    const std::size_t equals = pair.find('=');
    if (decode(pair.substr(0, equals)) != name) continue;
    if (!visit(decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1)))) return;
  }
}

}  // namespace

namespace detail {

void throw_bad_parameter(std::string_view name, std::string_view text, std::string_view wanted) {
  constexpr std::size_t kShown = 40;
  std::string detail = std::string(name) + " must be " + std::string(wanted) + ", not \"";
  std::size_t shown = 0;
  while (shown < text.size() && shown < kShown) {
    const std::size_t length = std::max<std::size_t>(utf8_sequence(text.substr(shown)), 1);  // no half characters
    detail += static_cast<unsigned char>(text[shown]) < 0x20 ? "?" : text.substr(shown, length);
    shown += length;
  }
  if (shown < text.size()) detail += "...";
  throw HttpError(400, detail + "\"");
}

}  // namespace detail

std::string_view Request::method() const noexcept { return exchange_.head.method; }
std::string_view Request::target() const noexcept { return exchange_.head.target; }
std::string_view Request::path() const noexcept { return exchange_.decoded_path(); }
std::string_view Request::query_string() const noexcept { return exchange_.head.query; }
std::string_view Request::route() const noexcept { return exchange_.route; }

std::optional<std::string_view> Request::header(std::string_view name) const noexcept {
  return exchange_.head.find(name);
}

std::span<const Request::Header> Request::headers() const noexcept {
  return {exchange_.head.fields.data(), exchange_.head.field_count};
}

std::optional<std::string_view> Request::cookie(std::string_view name) const noexcept {
  std::optional<std::string_view> first;
  worker::for_each_cookie(headers(), name, [&first](std::string_view value) {
    first = value;
    return false;
  });
  return first;
}

std::vector<std::string_view> Request::cookies(std::string_view name) const {
  std::vector<std::string_view> values;
  worker::for_each_cookie(headers(), name, [&values](std::string_view value) {
    values.push_back(value);
    return true;
  });
  return values;
}

void Request::refuse_content_coding() const {
  for (const Header& field : headers()) {
    if (!worker::equal_ignoring_case(field.name, "content-encoding")) continue;
    for (std::string_view codings = field.value; !codings.empty();) {
      const std::string_view coding = worker::take_until(codings, ',');
      if (coding.empty() || worker::equal_ignoring_case(coding, "identity")) continue;
      throw HttpError(415, "the body must not have a content coding").set("Accept-Encoding", "identity");
    }
  }
}

// The rest of a body is dropped once the response has begun: nothing would wake who waits for it.
static void require_receiving(const detail::Exchange& exchange) {
  if (!exchange.responded) return;
  throw std::logic_error("the rest of a request's body cannot be read once its response has begun");
}

Task<std::string_view> Request::body() {
  if (!exchange_.body.complete()) require_receiving(exchange_);
  exchange_.body_was_read = true;
  exchange_.body.keep_whole();
  if (!exchange_.body.complete()) exchange_.owner->want_body(exchange_);
  while (!exchange_.body.satisfied()) co_await exchange_.body.wait();
  co_return exchange_.body.whole();
}

Task<std::optional<std::string_view>> Request::read() {
  if (!exchange_.body.readable()) require_receiving(exchange_);
  exchange_.body_was_read = true;
  while (!exchange_.body.satisfied()) {
    exchange_.owner->want_body(exchange_);
    if (!exchange_.body.satisfied()) co_await exchange_.body.wait();
  }
  const std::string_view bytes = exchange_.body.take();
  if (bytes.empty()) co_return std::nullopt;
  co_return bytes;
}

std::optional<std::string_view> Request::trailer(std::string_view name) const noexcept {
  if (!exchange_.body.complete()) return std::nullopt;
  const auto [start, size] = worker::find_field(exchange_.trailer_bytes, name);
  if (size == 0) return std::nullopt;
  const auto line = std::string_view(exchange_.trailer_bytes).substr(start, size);
  return worker::trim_blanks(line.substr(name.size() + 1, size - name.size() - 3));
}

void Request::early_hints(std::initializer_list<std::string_view> links) {
  std::string fields;
  for (std::string_view link : links) {
    if (!worker::is_field_value(link)) throw std::invalid_argument("invalid early hint: control character");
    link = worker::trim_blanks(link);
    if (!link.empty()) fields.append("Link: ").append(link).append("\r\n");
  }
  if (fields.empty()) return;
  exchange_.owner->send_early_hints(exchange_, "HTTP/1.1 103 Early Hints\r\n" + fields + "\r\n");
}

const Request::Client& Request::client() const { return exchange_.client(); }

std::string_view Request::scheme() const noexcept {
  const worker::Forwarding* said = exchange_.forwarding();
  if (said != nullptr && !said->scheme.empty()) return said->scheme;
  return exchange_.peer->https ? "https" : "http";
}

const ClientCertificate* Request::client_certificate() const noexcept {
  const ClientCertificate* const shown = worker::certificate_of(*this);
  if (shown != nullptr) worker::identify(exchange_.request);
  return shown;
}

std::string_view Request::host() const noexcept {
  const worker::Forwarding* said = exchange_.forwarding();
  if (said != nullptr && !said->host.empty()) return said->host;
  // An absolute-form target wins over Host (RFC 9112 section 3.2.2).
  return exchange_.head.authority.empty() ? exchange_.head.value(worker::KnownHeader::host) : exchange_.head.authority;
}

std::string_view Request::last_event_id() const noexcept { return header("Last-Event-ID").value_or(""); }
std::string_view Request::id() const { return exchange_.id(); }
std::string_view Request::traceparent() const { return exchange_.traceparent(); }
std::chrono::steady_clock::time_point Request::deadline() const noexcept { return exchange_.deadline; }

void Request::explain_errors(detail::BodyErrorText text) noexcept { exchange_.body_error_text = text; }

std::string_view Request::raw_param(std::string_view name) const {
  for (std::size_t i = 0; i < exchange_.param_count; ++i) {
    const auto& [param, value] = exchange_.params[i];
    if (param != name) continue;
    if (value.find('%') == std::string_view::npos) return value;
    auto decoded = std::make_unique<std::string>();
    if (!worker::percent_decode(value, *decoded, false)) throw bad_request("the path is not percent-encoded correctly");
    return *exchange_.decoded_.emplace_back(std::move(decoded));
  }
  throw std::logic_error("the route " + std::string(exchange_.route) + " has no parameter {" + std::string(name) + "}");
}

std::optional<std::string> Request::raw_query(std::string_view name) const {
  std::optional<std::string> first;
  for_each_query_field(exchange_.head.query, name, [&first](std::string value) {
    first = std::move(value);
    return false;
  });
  return first;
}

std::vector<std::string> Request::raw_query_all(std::string_view name) const {
  std::vector<std::string> values;
  for_each_query_field(exchange_.head.query, name, [&values](std::string value) {
    values.push_back(std::move(value));
    return true;
  });
  return values;
}

Worker& Request::worker() const {
  if (exchange_.worker == nullptr) throw std::logic_error("this request is not served by a worker");
  return *exchange_.worker;
}

void* Request::require_state(const std::type_info& type) const { return worker().require_state(type); }

void Request::store_attachment(const std::type_info& type, void* object, void (*destroy)(void*)) {
  std::unique_ptr<void, void (*)(void*)> owned(object, destroy);
  for (auto& attachment : exchange_.attachments_) {
    if (*attachment.type == type) {
      attachment.destroy(attachment.object);
      attachment.object = owned.release();
      return;
    }
  }
  exchange_.attachments_.push_back({&type, object, destroy});
  static_cast<void>(owned.release());
}

void* Request::find_attachment(const std::type_info& type) const noexcept {
  for (const auto& attachment : exchange_.attachments_) {
    if (*attachment.type == type) return attachment.object;
  }
  return nullptr;
}

}  // namespace pronghorn
