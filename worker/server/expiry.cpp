#include "worker/server/expiry.h"

#include "worker/connection/connection.h"

namespace pronghorn::worker {
namespace {

void expire(TimeoutLists& lists, Waiting kind, Milliseconds limit) {
  if (limit.count() == 0) return;
  const std::uint64_t ticks = (static_cast<std::uint64_t>(limit.count()) + kTickMs - 1) / kTickMs;
  while (TimeoutEntry* entry = lists.expired(kind, ticks)) static_cast<Connection*>(entry)->timed_out();
}

void check_deadlines(TimeoutLists& lists, Waiting kind, std::chrono::steady_clock::time_point now) {
  for (TimeoutEntry* entry = lists.first(kind); entry != nullptr;) {
    TimeoutEntry* const next = TimeoutLists::after(*entry);
    static_cast<Connection*>(entry)->check_deadline(now);
    entry = next;
  }
}

}  // namespace

void expire_connections(HttpContext& context, std::uint64_t ticks, const ConnectionTimeouts& timeouts,
                        std::chrono::steady_clock::time_point now) {
  TimeoutLists& lists = context.timeouts;
  lists.advance(ticks);
  expire(lists, Waiting::for_head, timeouts.header);
  expire(lists, Waiting::for_body, timeouts.body);
  expire(lists, Waiting::for_writes, timeouts.write);
  expire(lists, Waiting::for_request, timeouts.keep_alive);
  expire(lists, Waiting::for_end, timeouts.linger);
  expire(lists, Waiting::for_message, timeouts.ping);
  for (const Waiting kind : {Waiting::for_handler, Waiting::for_body, Waiting::for_writes}) {
    check_deadlines(lists, kind, now);
  }
}

}  // namespace pronghorn::worker
