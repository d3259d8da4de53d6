#include "worker/connection/arrival.h"

#include <algorithm>
#include <utility>

namespace pronghorn::worker {
namespace {

// A client that has shut its side down may still read, or may have closed the connection: over TCP that looks the same.
// One that reads gets its response if that comes soon, as everywhere (Http1Connection::on_end()); after this time it is
// taken for one that has given up.
constexpr std::chrono::milliseconds kPatience{100};

constexpr std::chrono::hours kLongest{1};  // a longer wait is taken for this

}  // namespace

bool Arrival::look(HttpContext& context, const ByteStream& stream, Exchange& exchange) noexcept {
  if (context.loop == nullptr) return false;
  Admission& admission = context.admission;
  const Admission::Time now = exchange.started;
  const Admission::Time polled{std::chrono::milliseconds(uv_now(context.loop))};
  if (admission.looks_calm(now, polled)) return false;
  admission.dispatched(now, polled);
  exchange.pressed = true;
  exchange.waited.reset();
  if (kept_ || std::exchange(held_back_, false)) return false;
  const auto turn_ms = static_cast<std::uint32_t>(uv_now(context.loop));
  if (std::exchange(measured_ms_, turn_ms) != turn_ms) {
    wait_ = {};
    if (admission.may_have_waited(now, polled)) {
      const SocketWait wait = stream.waited();
      const Admission::Duration waited = wait.age ? *wait.age : admission.longest_wait(now, polled);
      wait_ = std::chrono::duration_cast<Wait>(std::clamp<Admission::Duration>(waited, {}, kLongest));
      const bool tried_patience = std::min(waited, now - context.serves_since) > kPatience;
      if (wait.peer == PeerState::gone || (wait.peer == PeerState::finished && tried_patience)) return true;
    }
  }
  exchange.waited = wait_;
  return false;
}

}  // namespace pronghorn::worker
