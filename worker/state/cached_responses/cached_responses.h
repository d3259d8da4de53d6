// Keeps the responses of cached() routes: CachedOptions of pronghorn/cache.h says what clients see.
//
// NAME:c:r:{…} is a resource: its response, that it varies and by which fields, or that its responses may not be stored.
// A variant is an entry of the same kind. Requests with Authorization or a session cookie have entries of their own, so
// that responses to them, which mostly may not be stored, do not switch off the cache for the others.
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

  // The innermost wrap of such a route; `next` is its handler. `request` and `options` must outlive the task. Throws
  // what the handler throws.
  [[nodiscard]] Task<Response> run(Request& request, Next next, const CachedOptions& options);

 private:
  class Fill;
  struct Found;

  [[nodiscard]] std::string name_of(Request& request, const RequestRules& rules, const CachedOptions& options) const;
  [[nodiscard]] std::shared_ptr<CacheCall> call_for(const std::string& name, const RequestRules& rules,
                                                    const CachedOptions& options) const;
  [[nodiscard]] Task<void> remove(std::shared_ptr<CacheCall> call);
  [[nodiscard]] Task<Response> answer(Request& request, const Next& next, const CachedOptions& options,
                                      const RequestRules& rules);
  // What is stored, or, if `fill` has run, its own response.
  [[nodiscard]] Task<Found> find(std::shared_ptr<CacheCall> call, std::shared_ptr<Fill> fill);
  [[nodiscard]] Task<Response> answer_variant(Request& request, const Next& next, const CachedOptions& options,
                                              const RequestRules& rules, std::string name,
                                              std::vector<std::string> vary);
  // What is stored, if it can be sent, else what the handler answers.
  [[nodiscard]] Task<Response> send_or_handle(Request& request, const Next& next, const RequestRules& rules,
                                              Found& found);

  CacheService* cache_;
  std::string session_cookie_;
};

}  // namespace pronghorn::worker
