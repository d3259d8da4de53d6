// How long the requests of a connection have waited for their dispatch, as far as overload control needs to know it.
#pragma once

#include <chrono>
#include <cstdint>

#include "worker/connection/http_context.h"
#include "worker/exchange/exchange.h"
#include "worker/net/byte_stream.h"

namespace pronghorn::worker {

// Only requests that have just been read are measured. One that waited behind another of its own connection, or whose
// bytes another worker has read, was not delayed by this worker's load. Requests of one connection that are dispatched
// in the same turn of the loop were read together: they have waited together, and the kernel is asked once.
//
// Context: loop thread; one per connection.
class Arrival {
 public:
  // The connection did not read for a while, for reasons of its own: what is read next has waited for those.
  void held_back() noexcept { held_back_ = true; }
  // Whether what is dispatched from now on was kept, not just read.
  void set_kept(bool kept) noexcept { kept_ = kept; }

  // To be called when a request is dispatched: lets overload control decide about it if it may have waited for long.
  // True: its client has left meanwhile, so it must not be executed.
  [[nodiscard]] bool client_left(HttpContext& context, const ByteStream& stream, Exchange& exchange) noexcept {
    if (context.admission.usual(exchange.started)) return false;
    return look(context, stream, exchange);
  }

 private:
  [[nodiscard]] bool look(HttpContext& context, const ByteStream& stream, Exchange& exchange) noexcept;

  using Wait = std::chrono::duration<std::uint32_t, std::micro>;  // small: each idle connection has one

  Wait wait_{};                    // of the request that was measured last …
  std::uint32_t measured_ms_ = 0;  // … and when its turn began, by the loop's time
  bool held_back_ = false;
  bool kept_ = false;
};

}  // namespace pronghorn::worker
