#include "worker/state/idempotency/idempotency.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "common/log.h"
#include "pronghorn/error.h"
#include "pronghorn/redis.h"
#include "worker/exchange/exchange.h"
#include "worker/state/idempotency/claim.h"
#include "worker/state/idempotency/holder.h"
#include "worker/state/idempotency/idempotency_key.h"
#include "worker/state/idempotency/kept_response.h"
#include "worker/state/keys/key.h"
#include "worker/state/sessions/session_store.h"

namespace pronghorn::worker {
namespace {

using namespace std::chrono_literals;

// A worker of this machine that lives and does not renew its lease: its loop is blocked, which the watchdog ends after
// worker_timeout, or Redis was down when it freed the key.
std::chrono::milliseconds patience_with_blocked(const Config& config) {
  return std::max<std::chrono::milliseconds>(60s, 2 * config.worker_timeout);
}

}  // namespace

Idempotency::Idempotency(RedisClient* client, SessionStore& sessions, const Config& config)
    : client_(client),
      sessions_(sessions),
      prefix_(key_prefix(config.name) + ":i:"),
      session_cookie_(config.session_cookie),
      patience_(patience_with_blocked(config)),
      holder_(name_this_process()) {}

std::string Idempotency::key_in_redis(Request& request, const IdempotentOptions& options, std::string_view key) const {
  std::string name = prefix_ + escape_key(request.method()) + escape_key(request.route()) + ":";
  // Marked, because a scope may look like a digest of credentials.
  name += options.scope ? "=" + bounded_key(options.scope(request)) : credentials_of(request, session_cookie_);
  return name + ":" + bounded_key(key);
}

void Idempotency::refuse_without_redis() {
  constexpr const char* kWhy = "an Idempotency-Key needs Redis, but the server runs with --redis none";
  if (!std::exchange(told_missing_, true)) log_warning(kWhy);
  throw HttpError(503, kWhy);
}

Task<Response> Idempotency::run(Request& request, Next next, const IdempotentOptions& options) {
  const std::optional<std::string> key = idempotency_key(request);
  if (!key) {
    if (options.required) throw bad_request("this request needs the field Idempotency-Key");
    Response unprotected = co_await next(request);
    co_return unprotected;
  }
  if (client_ == nullptr) refuse_without_redis();
  const std::string_view body = co_await request.body();
  Claim claim(*client_, {.key = key_in_redis(request, options, *key),
                         .name = holder_ + "/" + std::to_string(++claims_),
                         .keep = options.keep,
                         .patience = patience_});
  const Claim::Answer answer = co_await claim.take(request_fingerprint(request, body));
  switch (answer) {
    case Claim::Answer::running:
      throw HttpError(409, "a request with this Idempotency-Key is being carried out").retry_after(1);
    case Claim::Answer::other:
      throw HttpError(422, "this Idempotency-Key was used for another request");
    case Claim::Answer::finished:
      co_return replay(std::move(claim.kept()));
    case Claim::Answer::taken:
      break;
  }
  Response response = co_await handle(request, next, claim);
  co_return response;
}

Task<Response> Idempotency::handle(Request& request, const Next& next, Claim& claim) {
  std::optional<Response> response;
  std::exception_ptr error;
  try {
    Response answered = co_await next(request);
    Exchange& exchange = request.exchange();
    if (exchange.session) co_await sessions_.commit(exchange, answered);
    response = std::move(answered);
  } catch (...) {
    error = std::current_exception();
  }
  if (response && is_final(*response)) {
    co_await keep(request, claim, *response);
  } else {
    co_await claim.give_up();  // before the client hears of it, so that it can try again at once
  }
  if (error) std::rethrow_exception(error);
  co_return std::move(*response);
}

// The request was carried out, so its client gets the response whatever happens here.
Task<void> Idempotency::keep(Request& request, Claim& claim, const Response& response) {
  KeptResponse kept = worker::keep(response);
  if (kept.status == 0 && !std::exchange(told_not_kept_, true)) {
    log_warning(
        "an idempotent() route answered with a stream, a file or more than 256 KiB, which cannot be kept: repetitions "
        "of the request are answered 409",
        {{"request", request.id()}, {"route", request.route()}});
  }
  std::string problem;
  try {
    const bool ours = co_await claim.finish(std::move(kept));
    if (!ours) problem = "its claim had expired, and another request may have been carried out with its key";
  } catch (const RedisError& failed) {
    problem = failed.what();
  }
  if (problem.empty()) co_return;
  log_warning("the response to a request with an Idempotency-Key could not be kept",
              {{"request", request.id()}, {"route", request.route()}, {"error", problem}});
}

}  // namespace pronghorn::worker
