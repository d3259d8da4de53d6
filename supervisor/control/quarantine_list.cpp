#include "supervisor/control/quarantine_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {
namespace {

// "POST /crash (route /crash)"
std::string request_text(const QuarantinedRequest& request) {
  if (request.shape == QuarantinedRequest::kEveryShape) {
    return fmt::format("every {} of route {}", request.method, request.route);
  }
  return fmt::format("{} {} (route {})", request.method, request.shape, request.route);
}

}  // namespace

void QuarantineList::killed(const QuarantinedRequest& request, Milliseconds time, std::uint64_t now) {
  if (time.count() <= 0) return;
  if (QuarantineRow* row = find(request.id)) {  // another worker was executing it when it was quarantined
    row->kills.fetch_add(1);
    return;
  }
  forget_old(now);
  if (counted_.size() >= kMaxCounted && !counted_.contains(request.id)) {
    counted_.erase(std::ranges::min_element(counted_, {}, [](const auto& entry) { return entry.second.first_ms; }));
  }
  Kills& kills = counted_[request.id];
  if (kills.count++ == 0) kills.first_ms = now;
  if (kills.count < kKills) return;
  const std::uint32_t count = kills.count;
  counted_.erase(request.id);
  released_.erase(request.id);
  if (add(request, static_cast<std::uint64_t>(std::time(nullptr)), count, time, now) == nullptr) return;
  log_warning(fmt::format("{} is quarantined for {} s: it killed {} workers within a minute; to end that, run "
                          "\"pronghorn quarantine release {}\"",
                          request_text(request), time.count() / 1000, count, request.id),
              {{"quarantine", request.id}});
}

void QuarantineList::killed_in_route(const QuarantinedRequest& route, const std::string& shape, Milliseconds time,
                                     std::uint64_t now) {
  if (time.count() <= 0 || find(route.id) != nullptr) return;
  for (auto& [id, shapes] : routes_) {
    std::erase_if(shapes, [now](const auto& entry) { return now - entry.second > kWindowMs; });
  }
  std::erase_if(routes_, [](const auto& entry) { return entry.second.empty(); });
  if (routes_.size() >= kMaxCounted && !routes_.contains(route.id)) return;
  Shapes& shapes = routes_[route.id];
  shapes[shape] = now;
  if (shapes.size() < kShapes) return;
  const auto count = static_cast<std::uint32_t>(shapes.size());
  routes_.erase(route.id);
  released_.erase(route.id);
  if (add(route, static_cast<std::uint64_t>(std::time(nullptr)), count, time, now) == nullptr) return;
  log_warning(fmt::format("{} is quarantined for {} s: requests for {} different paths killed workers within a minute; "
                          "to end that, run \"pronghorn quarantine release {}\"",
                          request_text(route), time.count() / 1000, count, route.id),
              {{"quarantine", route.id}});
}

void QuarantineList::learned(const QuarantineNotice& notice, Milliseconds left, std::uint64_t now) {
  if (left.count() <= 0) return;
  if (const auto released = released_.find(notice.request.id); released != released_.end() && released->second > now) {
    return;
  }
  counted_.erase(notice.request.id);  // those kills are part of the entry
  QuarantineRow* row = find(notice.request.id);
  if (row == nullptr) {
    row = add(notice.request, notice.since_at, notice.kills, left, now);
    if (row == nullptr) return;
    log_warning(fmt::format("{} is quarantined for {} s, by Redis: it killed {} workers within a minute",
                            request_text(notice.request), (left.count() + 999) / 1000, notice.kills),
                {{"quarantine", notice.request.id}});
  }
  row->shared.store(1);
  row->kills.store(std::max(row->kills.load(), notice.kills));
  row->until_ms.store(now + static_cast<std::uint64_t>(left.count()));
  table_.version.fetch_add(1, std::memory_order_release);
}

void QuarantineList::ended(std::string_view id, std::uint64_t now) {
  QuarantineRow* row = find(id);
  if (row == nullptr) return;
  remove(*row, row->until_ms.load() <= now + kExpiringMs ? "has expired" : "was released");
}

std::size_t QuarantineList::release(std::string_view id, std::uint64_t now) {
  std::size_t released = 0;
  for (QuarantineRow& row : table_.rows) {
    if (row.until_ms.load() == 0) continue;
    const auto request = parse_quarantined_request(row.request.get());
    if (!request || (id != "all" && request->id != id)) continue;
    released_[request->id] = now + kReleasedMs;
    remove(row, "is released");
    ++released;
  }
  return released;
}

void QuarantineList::tick(std::uint64_t now) {
  std::erase_if(released_, [now](const auto& entry) { return entry.second <= now; });
  if (table_.count.load() == 0) return;
  for (QuarantineRow& row : table_.rows) {
    if (row.until_ms.load() != 0 && row.until_ms.load() <= now) remove(row, "has expired");
  }
}

QuarantineRow* QuarantineList::find(std::string_view id) {
  if (table_.count.load() == 0) return nullptr;
  for (QuarantineRow& row : table_.rows) {
    if (row.until_ms.load() != 0 && row.request.get().substr(0, QuarantinedRequest::kIdSize) == id) return &row;
  }
  return nullptr;
}

QuarantineRow* QuarantineList::add(const QuarantinedRequest& request, std::uint64_t since_at, std::uint32_t kills,
                                   Milliseconds time, std::uint64_t now) {
  const auto row = std::ranges::find_if(table_.rows, [](const auto& each) { return each.until_ms.load() == 0; });
  if (row == table_.rows.end()) {
    if (!std::exchange(told_full_, true)) {
      log_error(fmt::format("the quarantine is full ({} entries): {} is not quarantined", kMaxQuarantined,
                            request_text(request)));
    }
    return nullptr;
  }
  row->request.set(to_text(request));
  row->since_at.store(since_at);
  row->kills.store(kills);
  row->shared.store(0);
  row->refused.store(0);
  row->until_ms.store(now + static_cast<std::uint64_t>(time.count()), std::memory_order_release);
  table_.count.fetch_add(1);
  table_.version.fetch_add(1, std::memory_order_release);
  return &*row;
}

void QuarantineList::remove(QuarantineRow& row, std::string_view why) {
  const auto request = parse_quarantined_request(row.request.get());
  row.until_ms.store(0);
  table_.count.fetch_sub(1);
  table_.version.fetch_add(1, std::memory_order_release);
  told_full_ = false;
  if (!request) return;
  log_info(fmt::format("the quarantine of {} {}: it refused {} here", request_text(*request), why,
                       counted(row.refused.load(), "request")),
           {{"quarantine", request->id}});
}

void QuarantineList::forget_old(std::uint64_t now) {
  std::erase_if(counted_, [now](const auto& entry) { return now - entry.second.first_ms > kWindowMs; });
}

}  // namespace pronghorn::supervisor
