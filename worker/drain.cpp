#include "worker/drain.h"

#include <algorithm>
#include <utility>

#include "worker/state/relay/relay_link.h"

namespace pronghorn::worker {

Drain::Drain(const Parts& parts, Callbacks callbacks)
    : parts_(parts),
      callbacks_(std::move(callbacks)),
      timer_(make_uv(parts.loop, uv_timer_init, this)),
      relay_timer_(make_uv(parts.loop, uv_timer_init, this)) {}

void Drain::begin(std::chrono::milliseconds delay) {
  if (parts_.row.phase.load() == WorkerPhase::draining) return;
  parts_.row.phase.store(WorkerPhase::draining);  // /ready is 503 from now on
  callbacks_.begins();
  began_ms_ = monotonic_ms();
  answered_before_ = parts_.row[Count::requests].load();
  lost_before_ = lost_requests();
  if (delay.count() > 0) {
    log_step("draining: serving for drain_delay with /ready answering 503", {"delay_ms", delay.count()});
  }
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<Drain*>(timer->data)->close_gracefully(); },
      static_cast<std::uint64_t>(delay.count()), 0);
}

void Drain::hurry(std::chrono::milliseconds limit) {
  parts_.timeout = std::min(parts_.timeout, limit);
  if (done_) return;
  if (!parts_.http.draining()) return close_gracefully();
  expire_in(std::min(limit, std::chrono::milliseconds(uv_timer_get_due_in(timer_.get()))));
}

void Drain::expire_in(std::chrono::milliseconds time) {
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<Drain*>(timer->data)->expire(); },
      static_cast<std::uint64_t>(time.count()), 0);
}

void Drain::log_step(std::string_view step, const LogField& limit) const {
  log_info(step, {{"connections", parts_.http.connections()},
                  {"in_flight", parts_.row[Count::in_flight].load()},
                  {"background", parts_.runtime.background_tasks()},
                  limit});
}

// Their client has left, or the server was told to stop immediately.
std::uint64_t Drain::lost_requests() const noexcept {
  return parts_.row[Count::lost_client_left].load() + parts_.row[Count::lost_cut].load();
}

void Drain::close_gracefully() {
  const bool server_stops = parts_.server.draining.load() != 0;
  log_step(server_stops ? "draining: finishing requests in flight, closing idle connections"
                        : "draining: finishing requests in flight, handing over the other connections",
           {"drain_timeout_ms", parts_.timeout.count()});
  expire_in(parts_.timeout);
  // Whom it relays topics for may find no other relay: there may be no other worker.
  uv_timer_start(
      relay_timer_.get(),
      [](uv_timer_t* timer) {
        auto* drain = static_cast<Drain*>(timer->data);
        drain->peers_had_time_ = true;
        drain->check_empty();
      },
      static_cast<std::uint64_t>(std::chrono::milliseconds(RelayLink::kMaxSwitch).count()), 0);
  parts_.http.drain(server_stops);
  check_empty();
}

void Drain::expire() {
  done_ = true;  // closing connections calls check_empty()
  log_warning("drain_timeout expired: closing connections with requests in flight",
              {{"connections", parts_.http.connections()},
               {"in_flight", parts_.row[Count::in_flight].load()},
               {"background", parts_.runtime.background_tasks()}});
  parts_.http.close_all();
  parts_.runtime.destroy_background_tasks();
  callbacks_.ended();
}

void Drain::check_empty() {
  if (done_ || !parts_.http.draining()) return;
  if (parts_.http.connections() > 0 || parts_.runtime.background_tasks() > 0) return;
  if (parts_.http.accept_waiting()) return;
  if (parts_.passed.linked()) return;
  const bool server_stops = parts_.server.draining.load() != 0;  // then no other worker becomes the relay
  if (parts_.relay != nullptr && parts_.relay->has_peers() && !server_stops && !peers_had_time_) return;
  done_ = true;
  uv_timer_stop(timer_.get());
  uv_timer_stop(relay_timer_.get());
  const std::uint64_t lost = lost_requests() - lost_before_;
  log_info(lost == 0 ? "drained: all requests answered" : "drained: some requests got no complete response",
           {{"took_ms", monotonic_ms() - began_ms_},
            {"answered", parts_.row[Count::requests].load() - answered_before_},
            {"lost", lost}});
  callbacks_.ended();
}

}  // namespace pronghorn::worker
