// Implements pronghorn/csrf.h.
#include "pronghorn/csrf.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/error.h"
#include "pronghorn/secrets.h"
#include "pronghorn/session.h"
#include "worker/crypto/base64.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/characters.h"
#include "worker/fields/host.h"
#include "worker/fields/methods.h"
#include "worker/fields/origin.h"
#include "worker/fields/sole_value.h"
#include "worker/fields/text.h"
#include "worker/forms/multipart_parser.h"

namespace pronghorn {
namespace {

constexpr std::string_view kSessionField = "_pronghorn.csrf";
constexpr std::size_t kBytes = 32;

std::string exclusive_or(std::string_view a, std::string_view b) {
  std::string result(a);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<char>(result[i] ^ b[i]);
  return result;
}

// A random pad, and the token under it: another text each time.
std::string mask(std::string_view token) {
  const std::string pad = random_bytes(kBytes);
  return to_base64url(pad + exclusive_or(pad, token));
}

std::optional<std::string> unmask(std::string_view text) {
  const auto bytes = text.size() == 86 ? worker::decode_base64(text) : std::nullopt;
  if (!bytes || bytes->size() != 2 * kBytes) return std::nullopt;
  const std::string_view both = *bytes;
  return exclusive_or(both.substr(0, kBytes), both.substr(kBytes));
}

std::optional<std::string> token_of(const Session& session) {
  const auto text = session.get(kSessionField);
  auto bytes = text ? worker::decode_base64(*text) : std::nullopt;
  return bytes && bytes->size() == kBytes ? std::move(bytes) : std::nullopt;
}

bool has_type(const Request& request, std::string_view wanted) {
  const std::string_view type = request.header("content-type").value_or("");
  return worker::equal_ignoring_case(worker::trim_blanks(type.substr(0, type.find(';'))), wanted);
}

// Looks for one field of a multipart form, as its first bytes arrive.
class FieldSearch {
 public:
  FieldSearch(std::string_view boundary, std::string_view field) : parser_(boundary, {}), field_(field) {}

  // Whether no more bytes are needed: the field is complete, or it will not come.
  [[nodiscard]] bool look_at(std::string_view bytes) {
    using State = worker::MultipartParser::State;
    for (;;) {
      const auto step = parser_.next(bytes);
      bytes.remove_prefix(step.consumed);
      switch (step.state) {
        case State::needs_more:
          return parser_.complete();
        case State::part: {
          const worker::PartHead head = parser_.take_part();
          if (head.filename) return true;  // files may be large, so the field has to come before them
          inside_ = head.name == field_;
          break;
        }
        case State::data:
          if (inside_) value_.append(step.data);
          break;
        case State::part_end:
          if (inside_) return found_ = true;
          break;
        case State::malformed:
        case State::too_large:
          return true;
      }
    }
  }
  // Empty if it was not found.
  [[nodiscard]] std::string value() { return found_ ? std::move(value_) : std::string(); }

 private:
  worker::MultipartParser parser_;
  std::string_view field_;
  std::string value_;
  bool inside_ = false;
  bool found_ = false;
};

// The first text of that name in a multipart form. The handler can still read the body from its beginning.
Task<std::string> field_of_multipart(Request& request, std::string_view field) {
  constexpr std::size_t kMost = worker::kBufferedBody;
  const auto boundary = worker::boundary_of(request.header("content-type").value_or(""));
  if (!boundary) co_return std::string();
  FieldSearch search(*boundary, field);
  std::string seen;
  for (bool done = false; !done && seen.size() < kMost;) {
    const auto piece = co_await request.read();
    if (!piece) break;
    done = search.look_at(piece->substr(0, kMost - seen.size()));
    seen.append(*piece);
  }
  request.exchange().body.put_back(seen);
  co_return search.value();
}

class Csrf {
 public:
  explicit Csrf(const CsrfOptions& options)
      : field_(options.field), header_(options.header), origins_(options.origins) {
    if (field_.empty()) throw std::invalid_argument("csrf: the form field has no name");
    if (!worker::is_token(header_)) throw std::invalid_argument("csrf: \"" + header_ + "\" is not a field name");
    for (const std::string& origin : origins_) {
      if (worker::is_sent_origin(origin)) continue;
      throw std::invalid_argument("csrf: \"" + origin +
                                  "\" is not an origin as browsers send it; write it like \"https://shop.example\", in "
                                  "lower case, without a path and without the port that its scheme has anyway");
    }
  }

  // What speaks against the sender, as the browser names it; null if nothing does. Browsers do not let pages set either
  // field; a client that sends neither is an old browser, or none.
  [[nodiscard]] const char* foreign_sender(const Request& request) const {
    const auto [origin, origins] = worker::sole_value(request.headers(), "origin");
    if (origins == 1 && std::ranges::find(origins_, origin) != origins_.end()) return nullptr;
    const auto [site, sites] = worker::sole_value(request.headers(), "sec-fetch-site");
    if (sites > 0) {
      const bool own = sites == 1 && (site == "same-origin" || site == "none");
      return own ? nullptr : "a page of another site has sent this request";
    }
    if (origins == 0) return nullptr;
    const bool own = origins == 1 && worker::comes_from(origin, request.host(), request.scheme() == "https");
    return own ? nullptr : "a page of another origin has sent this request";
  }

  // The token that the client sent; empty if it sent none.
  [[nodiscard]] Task<std::string> sent_token(Request& request) const {
    if (const auto field = request.header(header_)) co_return std::string(*field);
    if (has_type(request, "multipart/form-data")) {
      std::string token = co_await field_of_multipart(request, field_);
      co_return token;
    }
    if (!has_type(request, "application/x-www-form-urlencoded")) co_return std::string();
    const Form form = co_await request.form();
    co_return form.get(field_).value_or("");
  }

 private:
  std::string field_;
  std::string header_;
  std::vector<std::string> origins_;
};

Task<Response> run(std::shared_ptr<const Csrf> rules, Request& request, Next next) {
  if (!worker::is_safe_method(request.method())) {
    if (const char* const why = rules->foreign_sender(request)) throw forbidden(why);
    const std::string sent = co_await rules->sent_token(request);
    const Session session = co_await request.session();
    const auto expected = token_of(session);
    const auto presented = unmask(sent);
    if (!expected || !presented || !constant_time_equal(*expected, *presented)) {
      throw forbidden(sent.empty() ? "the CSRF token is missing" : "the CSRF token is not that of this session");
    }
  }
  Response response = co_await next(request);
  co_return response;
}

}  // namespace

Middleware csrf(const CsrfOptions& options) {
  auto rules = std::make_shared<const Csrf>(options);
  return Middleware::Wrap([rules](Request& request, Next next) { return run(rules, request, std::move(next)); });
}

Task<std::string> csrf_token(Request& request) {
  Session session = co_await request.session();
  auto token = token_of(session);
  if (!token) {
    token = random_bytes(kBytes);
    session.set(kSessionField, to_base64url(*token));
  }
  co_return mask(*token);
}

}  // namespace pronghorn
