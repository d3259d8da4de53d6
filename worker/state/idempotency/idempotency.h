// Carries out the requests of idempotent() routes: Route::idempotent() of pronghorn/app.h says what clients see.
//
// The key in Redis is NAME:i:ROUTE:WHO:KEY. It expires `keep` after the response was kept; while the request runs,
// later, so that neither time nor a full embedded Redis takes the key from a request that runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/config/config.h"
#include "pronghorn/app.h"
#include "pronghorn/handler.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

class Claim;
class RedisClient;
class SessionStore;

// Context: loop thread; one per worker. Must outlive every exchange.
class Idempotency {
 public:
  // `client` is null with --redis none. `sessions` must outlive this.
  Idempotency(RedisClient* client, SessionStore& sessions, const Config& config);
  Idempotency(const Idempotency&) = delete;
  Idempotency& operator=(const Idempotency&) = delete;

  // The innermost wrap of such a route; `next` is its handler. Writes the session before the response is kept, so that
  // a response that is replayed was carried out whole. `request` and `options` must outlive the task. Throws HttpError
  // for the refusals, RedisUnavailable, and what the handler throws.
  [[nodiscard]] Task<Response> run(Request& request, Next next, const IdempotentOptions& options);

 private:
  [[nodiscard]] std::string key_in_redis(Request& request, const IdempotentOptions& options,
                                         std::string_view key) const;
  [[nodiscard]] Task<Response> handle(Request& request, const Next& next, Claim& claim);
  [[nodiscard]] Task<void> keep(Request& request, Claim& claim, const Response& response);
  [[noreturn]] void refuse_without_redis();

  RedisClient* client_;
  SessionStore& sessions_;
  std::string prefix_;
  std::string session_cookie_;
  std::chrono::milliseconds patience_;
  std::string holder_;
  std::uint64_t claims_ = 0;
  bool told_missing_ = false;
  bool told_not_kept_ = false;
};

}  // namespace pronghorn::worker
