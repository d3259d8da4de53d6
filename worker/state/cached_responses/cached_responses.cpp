#include "worker/state/cached_responses/cached_responses.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "pronghorn/error.h"
#include "pronghorn/redis.h"
#include "worker/exchange/client_identity.h"
#include "worker/fields/http_date.h"
#include "worker/fields/text.h"
#include "worker/http/head/field_lines.h"
#include "worker/http/response_access.h"
#include "worker/state/cache/cache_service.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr milliseconds kPass = 10s;     // how long it is known that responses may not be stored
constexpr milliseconds kVaries = 24h;   // … that they vary; a response that varies otherwise ends it
constexpr milliseconds kPassOnce = 1s;  // after such a response

bool belongs_to_one_exchange(std::string_view name) noexcept {
  return std::ranges::any_of(std::initializer_list<std::string_view>{"age", "x-request-id"},
                             [name](std::string_view own) { return equal_ignoring_case(name, own); });
}

// The target URI, whatever the method and the form of the request's target (RFC 9112 section 3.2).
std::string resource_of(const Request& request) {
  const RequestHead& head = request.exchange().head;
  std::string resource(request.scheme());
  resource.append("://");
  for (const char c : request.host()) resource += lower(c);
  resource.append(" ").append(head.path);
  if (head.has_query) resource.append("?").append(head.query);
  return resource;
}

// Whether the handler or its guards have learnt who the client is by something else than Authorization.
bool is_personal(const Request& request) noexcept {
  return request.exchange().session != nullptr || request.attachment<ClientIdentity>() != nullptr;
}

StoredResponse store(const Response& response, const Storing& storing) {
  StoredResponse stored;
  stored.kind = StoredResponse::Kind::response;
  stored.initial_age = storing.initial_age;
  stored.status = response.status();
  stored.content_type = response.content_type();
  stored.body = response.body();
  for_each_field_line(ResponseAccess::fields(response),
                      [&stored](std::string_view name, std::string_view, std::string_view line) {
                        if (!belongs_to_one_exchange(name)) stored.fields += line;
                      });
  return stored;
}

[[noreturn]] void refuse_to_run() {
  throw HttpError(504, "no stored response can be used, and the request asks for no other");
}

// nullopt if what is stored is no response.
std::optional<Response> serve(const Request& request, StoredResponse stored, milliseconds age) {
  if (stored.kind != StoredResponse::Kind::response) return std::nullopt;
  const auto total_age = stored.initial_age + std::chrono::duration_cast<std::chrono::seconds>(age);
  std::optional<Response> response = to_response(std::move(stored));
  if (!response) return std::nullopt;
  response->set("Age", std::to_string(total_age.count()));
  // When it was made, for caches of others: Expires counts from Date.
  if (!response->header("Date")) {
    response->set("Date",
                  http_date(std::time(nullptr) - std::chrono::duration_cast<std::chrono::seconds>(age).count()));
  }
  if (client_has(request, *response)) return not_modified(*response);
  return response;
}

}  // namespace

// A request, and what it asks for.
struct CachedResponses::Asked {
  Request& request;
  const Next& next;
  const CachedOptions& options;
  RequestRules rules;
  std::string name;
  std::string resource;  // empty: nothing changes it
};

struct CachedResponses::Found {
  std::optional<Response> own = {};
  std::optional<StoredResponse> stored = {};
  milliseconds age{0};
};

// Runs the handler, and says what is to be stored. Ends before the request does: cached() routes have no refreshes in
// the background.
class CachedResponses::Fill final : public CacheFill {
 public:
  // `call` is the one that it fills. `varies_by` are the fields by which the resource is known to vary.
  Fill(CachedResponses& responses, const Asked& asked, const CacheCall& call, std::vector<std::string> varies_by = {})
      : responses_(responses), asked_(asked), call_(call), varies_by_(std::move(varies_by)) {}

  Task<std::optional<std::string>> run() override {
    Request& request = asked_.request;
    Response response = co_await asked_.next(request);
    const auto storing = storing_of(request, response, asked_.options, is_personal(request), std::time(nullptr));
    std::optional<std::string> stored;
    if (storing) {
      if (response.status() == 200 && !response.header("ETag")) response.set("ETag", make_etag(response.body()));
      if (varies_by_.empty() && !storing->vary.empty()) co_await put_variant(response, *storing);
      stored = encode(choose(response, *storing));
      if (client_has(request, response)) response = not_modified(response);
    } else if (!is_partial_answer(response.status())) {
      stored = encode(StoredResponse());
    }
    own_ = std::move(response);
    co_return stored;
  }
  CacheLifetime lifetime(const CacheLifetime&) override { return lifetime_; }

  [[nodiscard]] std::optional<Response>& own() noexcept { return own_; }
  // The resource varies by other fields than was known.
  [[nodiscard]] bool varies_otherwise() const noexcept { return varies_otherwise_; }

 private:
  // The first response of a resource that varies: under the resource itself is only stored that it does. Before that,
  // because those who wait for that look for their variant then.
  Task<void> put_variant(const Response& response, const Storing& storing) {
    if (!call_.stores) co_return;
    auto call = responses_.call_for(asked_, asked_.name + "\n" + variant_of(asked_.request, storing.vary), {});
    call->lifetime = {storing.ttl, storing.stale, 0ms};
    call->versions = call_.versions;
    std::string variant = encode(store(response, storing));
    co_await responses_.cache_->put(std::move(call), std::move(variant));
  }

  StoredResponse choose(const Response& response, const Storing& storing) {
    if (storing.vary == varies_by_) {
      lifetime_ = {storing.ttl, storing.stale, 0ms};
      return store(response, storing);
    }
    StoredResponse stored;
    varies_otherwise_ = !varies_by_.empty();
    if (varies_otherwise_) {
      lifetime_.ttl = kPassOnce;
      return stored;
    }
    stored.kind = StoredResponse::Kind::varies;
    stored.vary = storing.vary;
    lifetime_.ttl = kVaries;
    return stored;
  }

  CachedResponses& responses_;
  const Asked& asked_;
  const CacheCall& call_;
  std::vector<std::string> varies_by_;
  CacheLifetime lifetime_{kPass, 0ms, 0ms};
  std::optional<Response> own_;
  bool varies_otherwise_ = false;
};

CachedResponses::CachedResponses(CacheService* cache, const Config& config)
    : cache_(cache), session_cookie_(config.session_cookie) {}

std::string CachedResponses::name_of(Request& request, const RequestRules& rules, const CachedOptions& options) const {
  std::string name;
  if (rules.authorized) name += 'a';
  if (request.cookie(session_cookie_)) name += 's';
  if (const auto* identity = request.attachment<ClientIdentity>(); identity != nullptr && !identity->token.empty()) {
    name += 't';
  }
  if (certificate_of(request) != nullptr) name += 'c';
  name.append(" ").append(resource_of(request));
  if (options.key) {  // any bytes, so its size tells where it ends: a variant follows
    const std::string key = options.key(request);
    name.append("\n").append(std::to_string(key.size())).append(":").append(key);
  }
  return name;
}

std::shared_ptr<CacheCall> CachedResponses::call_for(const Asked& asked, const std::string& name,
                                                     const RequestRules& rules) const {
  auto call = cache_->prepare_response(name, asked.resource, asked.options);
  call->least_fresh = rules.least_fresh;
  if (rules.renew) {
    call->max_age = 0ms;
  } else if (rules.max_age != milliseconds::max()) {
    call->max_age = rules.max_age + 1ms;
  }
  return call;
}

Task<Response> CachedResponses::run(Request& request, Next next, const CachedOptions& options, bool changes) {
  const RequestRules rules = rules_of(request);
  if (rules.bypass && rules.only_stored) refuse_to_run();
  if (cache_ == nullptr || rules.bypass) {
    Response response = co_await next(request);
    co_return response;
  }
  const Asked asked{.request = request,
                    .next = next,
                    .options = options,
                    .rules = rules,
                    .name = name_of(request, rules, options),
                    .resource = changes ? resource_of(request) : std::string()};
  Response response = co_await answer(asked);
  co_return response;
}

Task<Response> CachedResponses::run_change(Request& request, Next next) {
  Response response = co_await next(request);
  if (cache_ == nullptr || response.status() >= 400) co_return response;
  std::string resource = resource_of(request);
  Task<void> forgetting = cache_->forget_responses(std::move(resource));
  co_await std::move(forgetting);
  co_return response;
}

Task<CachedResponses::Found> CachedResponses::find(std::shared_ptr<CacheCall> call, std::shared_ptr<Fill> fill) {
  Found found;
  std::optional<CacheAnswer> answer;
  if (fill) {
    call->fill = fill;
    answer = co_await cache_->fetch(call);
    found.own = std::move(fill->own());
  } else {
    answer = co_await cache_->peek(call);
  }
  if (found.own || !answer || !answer->value) co_return found;
  found.age = answer->age;
  found.stored = decode_response(*answer->value);
  if (!found.stored) co_await remove(call);  // nothing of ours
  co_return found;
}

Task<void> CachedResponses::remove(std::shared_ptr<CacheCall> call) {
  Task<void> removing = cache_->remove(call->keys);
  try {
    co_await std::move(removing);
  } catch (const RedisError&) {  // it expires by itself
  }
}

Task<Response> CachedResponses::answer(const Asked& asked) {
  const RequestRules& rules = asked.rules;
  Found found;
  if (rules.renew || rules.least_fresh) {  // that the resource varies is used however old it is
    auto any_age = call_for(asked, asked.name, {});
    found = co_await find(std::move(any_age), nullptr);
  }
  if (!found.stored || found.stored->kind != StoredResponse::Kind::varies) {
    auto call = call_for(asked, asked.name, rules);
    // The response to a HEAD is not stored: a handler may leave out the content.
    const bool fills = !rules.head && !rules.only_stored;
    std::shared_ptr<Fill> fill = fills ? std::make_shared<Fill>(*this, asked, *call) : nullptr;
    found = co_await find(std::move(call), std::move(fill));
  }
  if (found.own) co_return std::move(*found.own);
  if (found.stored && found.stored->kind == StoredResponse::Kind::varies) {
    Response varied = co_await answer_variant(asked, std::move(found.stored->vary));
    co_return varied;
  }
  Response response = co_await send_or_handle(asked, found);
  co_return response;
}

Task<Response> CachedResponses::answer_variant(const Asked& asked, std::vector<std::string> vary) {
  const RequestRules& rules = asked.rules;
  auto call = call_for(asked, asked.name + "\n" + variant_of(asked.request, vary), rules);
  std::shared_ptr<Fill> fill;
  if (!rules.head && !rules.only_stored) fill = std::make_shared<Fill>(*this, asked, *call, std::move(vary));
  Found found = co_await find(std::move(call), fill);
  if (found.own) {
    if (fill->varies_otherwise()) {
      const auto outdated = call_for(asked, asked.name, {});
      co_await remove(outdated);
    }
    co_return std::move(*found.own);
  }
  Response response = co_await send_or_handle(asked, found);
  co_return response;
}

Task<Response> CachedResponses::send_or_handle(const Asked& asked, Found& found) {
  // The cache knows how long it has had the response, not how old that was before.
  if (found.stored && found.stored->initial_age + found.age <= asked.rules.max_age) {
    std::optional<Response> response = serve(asked.request, std::move(*found.stored), found.age);
    if (response) co_return std::move(*response);
  }
  if (asked.rules.only_stored) refuse_to_run();
  Response response = co_await asked.next(asked.request);
  co_return response;
}

}  // namespace pronghorn::worker
