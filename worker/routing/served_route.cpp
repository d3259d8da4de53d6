#include "worker/routing/served_route.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <variant>

namespace pronghorn::worker {

namespace {

std::vector<const detail::GroupEntry*> groups_outermost_first(const detail::GroupEntry& group) {
  std::vector<const detail::GroupEntry*> groups;
  for (const auto* entry = &group; entry != nullptr; entry = entry->parent) groups.push_back(entry);
  std::reverse(groups.begin(), groups.end());
  return groups;
}

}  // namespace

std::vector<const After*> afters_of(const detail::GroupEntry& group) {
  std::vector<const After*> afters;
  for (const auto* entry : groups_outermost_first(group)) {
    for (const Middleware& middleware : entry->middleware) {
      if (const auto* after = std::get_if<After>(&middleware)) afters.push_back(after);
    }
  }
  std::reverse(afters.begin(), afters.end());
  return afters;
}

ServedRoute::ServedRoute(const detail::RouteEntry& entry, const HttpLimits& limits, std::uint32_t index)
    : entry_(&entry),
      index_(index),
      max_body_(entry.max_body.value_or(limits.max_body)),
      // A century is no limit, and the clock does not overflow.
      deadline_(std::min<std::chrono::milliseconds>(entry.deadline.value_or(limits.request_timeout),
                                                    std::chrono::hours(24 * 365 * 100))),
      afters_(afters_of(*entry.group)) {
  for (const auto* group : groups_outermost_first(*entry.group)) {
    for (const Middleware& middleware : group->middleware) {
      if (!std::holds_alternative<After>(middleware)) before_.push_back(&middleware);
    }
  }
  for (std::size_t i = 0; i < entry.limits.size(); ++i) {
    // Not the name that the application gave: two routes may share one.
    limit_names_.push_back(entry.method + " " + entry.path + (i == 0 ? "" : "#" + std::to_string(i + 1)));
  }
  plain_ = entry.limits.empty() && std::holds_alternative<PlainHandler>(entry.handler) &&
           std::all_of(before_.begin(), before_.end(),
                       [](const Middleware* middleware) { return std::holds_alternative<Guard>(*middleware); });
}

Response ServedRoute::run_plain(Request& request) const {
  for (const Middleware* guard : before_) {
    if (auto response = std::get<Guard>(*guard)(request)) return std::move(*response);
  }
  return std::get<PlainHandler>(entry_->handler)(request);
}

Task<Response> ServedRoute::run(Request& request) const {
  const auto* handler = std::get_if<CoroutineHandler>(&entry_->handler);
  if (handler && before_.empty()) return (*handler)(request);  // no frame in between that does nothing
  return run_from(0, request);
}

// Where a Wrap goes on. Lives in the frame of the run_from() that awaits the Wrap.
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
    const Middleware& middleware = *before_[position];
    if (const auto* guard = std::get_if<Guard>(&middleware)) {
      auto response = (*guard)(request);
      if (response) co_return std::move(*response);
    } else if (const auto* waiting_guard = std::get_if<CoroutineGuard>(&middleware)) {
      auto response = co_await (*waiting_guard)(request);
      if (response) co_return std::move(*response);
    } else {
      ChainLink link{*this, position + 1};
      ChainLink* const next = &link;
      auto response = co_await std::get<Wrap>(middleware)(
          request, Next([next](Request& passed_on) { return next->go_on(passed_on); }));
      co_return response;
    }
  }
  if (const auto* handler = std::get_if<PlainHandler>(&entry_->handler)) co_return (*handler)(request);
  auto response = co_await std::get<CoroutineHandler>(entry_->handler)(request);
  co_return response;
}

}  // namespace pronghorn::worker
