#include "worker/state/quarantine/quarantine_gate.h"

#include <fmt/format.h>

#include <algorithm>

#include "worker/state/keys/digest.h"
#include "worker/state/quarantine/path_shape.h"

namespace pronghorn::worker {
namespace {

// A request that kept killing after it was quarantined (after its second kill, and a third in another worker that was
// executing it) kills in the code that runs for its refusal.
constexpr std::uint32_t kKillsOfRefusals = 4;

std::string visible_method(std::string_view method) { return visible(method, QuarantinedRequest::kMaxMethod); }

std::string visible_route(std::string_view route) {
  return route.empty() ? "-" : visible(route, QuarantinedRequest::kMaxRoute);
}

QuarantinedRequest make_request(std::string_view method, std::string_view route, std::string_view shape) {
  QuarantinedRequest request;
  request.id = sha256_hex(fmt::format("{} {} {}", method, route, shape)).substr(0, QuarantinedRequest::kIdSize);
  request.method = visible_method(method);
  request.route = visible_route(route);
  request.shape = visible(shape, QuarantinedRequest::kMaxShape);
  return request;
}

}  // namespace

QuarantinedRequest identify(std::string_view method, std::string_view route, std::string_view path) {
  return make_request(method, route, path_shape(path));
}

// The shape of a path is never "*": it begins with a slash, or is that of OPTIONS *, which has no route.
QuarantinedRequest identify_route(std::string_view method, std::string_view route) {
  return make_request(method, route, QuarantinedRequest::kEveryShape);
}

std::optional<QuarantineGate::Refusal> QuarantineGate::refusal(std::string_view method, std::string_view route,
                                                               std::string_view path) {
  refresh();
  // Most requests have another route and cost no digest.
  const std::string shown_method = visible_method(method);
  const std::string shown_route = visible_route(route);
  const bool similar = std::ranges::any_of(entries_, [&](const QuarantineEntry& entry) {
    return entry.request.method == shown_method && entry.request.route == shown_route;
  });
  if (!similar) return std::nullopt;
  const std::string id = identify(method, route, path).id;
  const std::string route_id = route.empty() ? std::string() : identify_route(method, route).id;
  const auto entry = std::ranges::find_if(
      entries_, [&](const QuarantineEntry& each) { return each.request.id == id || each.request.id == route_id; });
  if (entry == entries_.end()) return std::nullopt;
  QuarantineRow& shared = table_.rows[entry->row];
  const std::uint64_t until = shared.until_ms.load();
  const std::uint64_t now = monotonic_ms();
  if (until <= now) return std::nullopt;
  shared.refused.fetch_add(1, std::memory_order_relaxed);
  add(row_[Count::quarantined]);
  Refusal refusal{{.status = 503, .detail = "this request cannot be handled at the moment"}};
  refusal.answer.fields.emplace_back("Retry-After", std::to_string((until - now + 999) / 1000));
  // Without a route, no other code of the application runs than those two.
  refusal.without_application = route.empty() || shared.kills.load(std::memory_order_relaxed) >= kKillsOfRefusals;
  return refusal;
}

// Reads the version first: a change made meanwhile is seen next time.
void QuarantineGate::refresh() {
  const std::uint32_t version = table_.version.load(std::memory_order_acquire);
  if (read_ && version == version_) return;
  entries_ = quarantine_entries(table_, monotonic_ms());
  version_ = version;
  read_ = true;
}

}  // namespace pronghorn::worker
