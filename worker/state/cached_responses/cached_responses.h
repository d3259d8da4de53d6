// Keeps the responses of cached() routes: CachedOptions of pronghorn/cache.h says what clients see.
//
// NAME:c:r:{…} is a resource: its response, that it varies and by which fields, or that its responses may not be stored.
// A variant is an entry of the same kind. Requests with Authorization, a session cookie, a token in a cookie or a client
// certificate have entries of their own, so that responses to them, which mostly may not be stored, do not switch off the
// cache for the others. NAME:c:u:{…} is the version of a URL that requests with unsafe methods can change: they remove it,
// and with it all its responses.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "pronghorn/cache.h"
#include "pronghorn/handler.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "worker/state/cache/store/cache_call.h"
#include "worker/state/cached_responses/cache_rules.h"
#include "worker/state/cached_responses/stored_response.h"

namespace pronghorn::worker {

class CacheService;

// Context: loop thread; one per worker. Must outlive every exchange.
class CachedResponses {
 public:
  // `cache` is null with --redis none: every request runs its handler.
  CachedResponses(CacheService* cache, const Config& config);

  // The innermost wrap of such a route; `next` is its handler. `changes`: another route's requests may change what its
  // URLs name, and run in run_change(). `request` and `options` must outlive the task. Throws what the handler throws.
  [[nodiscard]] Task<Response> run(Request& request, Next next, const CachedOptions& options, bool changes);
  // The innermost wrap of a route with an unsafe method: unless it has failed, what is stored for its URL is no longer
  // used (RFC 9111 section 4.4).
  [[nodiscard]] Task<Response> run_change(Request& request, Next next);

 private:
  class Fill;
  struct Found;

  struct Asked;

  [[nodiscard]] std::string name_of(Request& request, const RequestRules& rules, const CachedOptions& options) const;
  [[nodiscard]] std::shared_ptr<CacheCall> call_for(const Asked& asked, const std::string& name,
                                                    const RequestRules& rules) const;
  [[nodiscard]] Task<void> remove(std::shared_ptr<CacheCall> call);
  [[nodiscard]] Task<Response> answer(const Asked& asked);
  // What is stored, or, if `fill` has run, its own response.
  [[nodiscard]] Task<Found> find(std::shared_ptr<CacheCall> call, std::shared_ptr<Fill> fill);
  [[nodiscard]] Task<Response> answer_variant(const Asked& asked, std::vector<std::string> vary);
  // What is stored, if it can be sent, else what the handler answers.
  [[nodiscard]] Task<Response> send_or_handle(const Asked& asked, Found& found);

  CacheService* cache_;
  std::string session_cookie_;
};

}  // namespace pronghorn::worker
