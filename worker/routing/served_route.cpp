#include "worker/routing/served_route.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <variant>

#include "pronghorn/error.h"
#include "worker/exchange/exchange.h"
#include "worker/state/state_services.h"

namespace pronghorn::worker {

namespace {

using Function = Middleware::Function;

bool is_after(const Function& function) noexcept {
  return std::holds_alternative<Middleware::After>(function) ||
         std::holds_alternative<Middleware::CoroutineAfter>(function);
}

// Of the groups from the outside in, then the route's own.
std::vector<const Function*> all_middleware(const detail::GroupEntry& group, const std::vector<Middleware>& own) {
  std::vector<const detail::GroupEntry*> groups;
  for (const auto* entry = &group; entry != nullptr; entry = entry->parent) groups.push_back(entry);
  std::reverse(groups.begin(), groups.end());
  std::vector<const Function*> functions;
  for (const auto* entry : groups) {
    for (const Middleware& middleware : entry->middleware) functions.push_back(&middleware.function());
  }
  for (const Middleware& middleware : own) functions.push_back(&middleware.function());
  return functions;
}

Task<Response> run_idempotent(Request& request, Next next, const IdempotentOptions& options) {
  StateServices* const state = request.exchange().state;
  if (state == nullptr) throw HttpError(503, "an Idempotency-Key needs Redis");
  return state->idempotency.run(request, std::move(next), options);
}

Task<Response> run_cached(Request& request, Next next, const detail::RouteEntry& entry) {
  StateServices* const state = request.exchange().state;
  if (state == nullptr) return next(request);
  return state->cached_responses.run(request, std::move(next), *entry.cached, entry.is_changed);
}

Task<Response> run_change(Request& request, Next next) {
  StateServices* const state = request.exchange().state;
  if (state == nullptr) return next(request);
  return state->cached_responses.run_change(request, std::move(next));
}

}  // namespace

AfterChain after_chain(const detail::GroupEntry& group, const std::vector<Middleware>& own) {
  AfterChain chain;
  chain.functions = all_middleware(group, own);
  std::erase_if(chain.functions, [](const Function* function) { return !is_after(*function); });
  std::reverse(chain.functions.begin(), chain.functions.end());
  chain.waits = std::ranges::any_of(chain.functions, [](const Function* function) {
    return std::holds_alternative<Middleware::CoroutineAfter>(*function);
  });
  return chain;
}

ServedRoute::ServedRoute(const detail::RouteEntry& entry, const HttpLimits& limits, std::uint32_t index)
    : entry_(&entry),
      index_(index),
      max_body_(entry.max_body.value_or(limits.max_body)),
      // At most a century, so that adding it to the clock cannot overflow.
      deadline_(std::min<std::chrono::milliseconds>(entry.deadline.value_or(limits.request_timeout),
                                                    std::chrono::hours(24 * 365 * 100))),
      before_(all_middleware(*entry.group, entry.middleware)),
      afters_(after_chain(*entry.group, entry.middleware)) {
  std::erase_if(before_, [](const Function* function) { return is_after(*function); });
  if (entry.idempotent) {
    idempotent_ = std::make_unique<Function>(Middleware::Wrap(
        [&entry](Request& request, Next next) { return run_idempotent(request, std::move(next), *entry.idempotent); }));
    before_.push_back(idempotent_.get());
  }
  if (entry.cached) {
    cached_ = std::make_unique<Function>(Middleware::Wrap(
        [&entry](Request& request, Next next) { return run_cached(request, std::move(next), entry); }));
    before_.push_back(cached_.get());
  }
  if (entry.changes) {
    changes_ = std::make_unique<Function>(Middleware::Wrap(&run_change));
    before_.push_back(changes_.get());
  }
  for (std::size_t i = 0; i < entry.limits.size(); ++i) {
    // Not the name that the application gave: two routes may share one.
    limit_names_.push_back(entry.method + " " + entry.path + (i == 0 ? "" : "#" + std::to_string(i + 1)));
  }
  plain_ = entry.limits.empty() && !afters_.waits && std::holds_alternative<detail::PlainHandler>(entry.handler) &&
           std::ranges::all_of(
               before_, [](const Function* function) { return std::holds_alternative<Middleware::Guard>(*function); });
}

Response ServedRoute::run_plain(Request& request) const {
  for (const Function* guard : before_) {
    if (auto response = std::get<Middleware::Guard>(*guard)(request)) return std::move(*response);
  }
  return std::get<detail::PlainHandler>(entry_->handler)(request);
}

Task<Response> ServedRoute::run(Request& request) const {
  const auto* handler = std::get_if<detail::CoroutineHandler>(&entry_->handler);
  if (handler && before_.empty()) return (*handler)(request);  // saves a coroutine frame
  return run_from(0, request);
}

// Where the chain continues after a wrap. Lives in the frame of the run_from() that awaits the wrap.
struct ChainLink {
  const ServedRoute& route;
  std::size_t position;
  bool called = false;

  Task<Response> go_on(Request& request) {
    if (std::exchange(called, true)) throw std::logic_error("middleware called next twice");
    return route.run_from(position, request);
  }
};

Task<Response> ServedRoute::run_from(std::size_t position, Request& request) const {
  for (; position < before_.size(); ++position) {
    const Function& function = *before_[position];
    if (const auto* guard = std::get_if<Middleware::Guard>(&function)) {
      auto response = (*guard)(request);
      if (response) co_return std::move(*response);
    } else if (const auto* waiting_guard = std::get_if<Middleware::CoroutineGuard>(&function)) {
      auto response = co_await (*waiting_guard)(request);
      if (response) co_return std::move(*response);
    } else {
      ChainLink link{*this, position + 1};
      ChainLink* const next = &link;
      auto response = co_await std::get<Middleware::Wrap>(function)(
          request, Next([next](Request& passed_on) { return next->go_on(passed_on); }));
      co_return response;
    }
  }
  if (const auto* handler = std::get_if<detail::PlainHandler>(&entry_->handler)) co_return (*handler)(request);
  auto response = co_await std::get<detail::CoroutineHandler>(entry_->handler)(request);
  co_return response;
}

}  // namespace pronghorn::worker
