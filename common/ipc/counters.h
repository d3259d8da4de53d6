// The table of counters and gauges. To add one, add a line to PRONGHORN_COUNTERS: the arrays in the scoreboard, the
// sums, /status, /metrics and their tests follow from it. docs/status.md needs a line too; a test compares the two.
//
//     X(id, kind, "path in /status", "family in /metrics", "label", "help")
//
// id      The enumerator: add(row[Count::id]). See "Who counts" in common/ipc/scoreboard.h.
// kind    See CounterKind.
// path    Below `totals` and each of `workers` in /status. A slash makes an object of it: "responses/2xx". Paths are
//         part of the public contract: add, never rename.
// family  Without the prefix "pronghorn_". Counters end in _total, times in _seconds or _seconds_total. The members of
//         a family differ in their label, stand next to each other and have the same help.
// label   "" or a rendered pair: "code=\"2xx\"".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pronghorn {

enum class CounterKind : std::uint8_t {
  counter,     // only grows; a worker continues where its predecessor in the row stopped
  time,        // a counter of microseconds: milliseconds in /status, seconds in /metrics
  gauge,       // zeroed when a worker takes its row; the living workers of a slot are added up
  worst_time,  // a gauge of microseconds; the worst of the living workers is reported
  highest,     // a gauge of something that all workers see; the highest of the living workers is reported
};

// The first eight, which every request touches, share a cache line.
// clang-format off
#define PRONGHORN_COUNTERS(X) \
  X(requests, counter, "requests", "requests_total", "", "Requests answered.") \
  X(in_flight, gauge, "in_flight", "requests_in_flight", "", "Requests being handled now.") \
  X(bytes_in, counter, "bytes_in", "received_bytes_total", "", "Bytes received from clients.") \
  X(bytes_out, counter, "bytes_out", "sent_bytes_total", "", "Bytes sent to clients.") \
  X(responses_1xx, counter, "responses/1xx", "responses_total", "code=\"1xx\"", "Responses by class of status.") \
  X(responses_2xx, counter, "responses/2xx", "responses_total", "code=\"2xx\"", "Responses by class of status.") \
  X(responses_3xx, counter, "responses/3xx", "responses_total", "code=\"3xx\"", "Responses by class of status.") \
  X(responses_4xx, counter, "responses/4xx", "responses_total", "code=\"4xx\"", "Responses by class of status.") \
  X(responses_5xx, counter, "responses/5xx", "responses_total", "code=\"5xx\"", "Responses by class of status.") \
  X(connections, gauge, "connections", "connections", "", "Connections open now.") \
  X(accepted, counter, "accepted", "connections_accepted_total", "", "Connections accepted.") \
  X(bad_requests, counter, "bad_requests", "bad_requests_total", "", \
    "Requests refused before routing for their framing or size.") \
  X(timeouts, counter, "timeouts", "timeouts_total", "", "Connections ended by a timeout.") \
  X(handler_errors, counter, "handler_errors", "handler_errors_total", "", "Exceptions of handlers that became a 500.") \
  X(lost_client_left, counter, "lost_requests/client_left", "requests_lost_total", "reason=\"client_left\"", \
    "Requests that got no whole response, by reason.") \
  X(lost_cut, counter, "lost_requests/cut", "requests_lost_total", "reason=\"cut\"", \
    "Requests that got no whole response, by reason.") \
  X(lost_worker_died, counter, "lost_requests/worker_died", "requests_lost_total", "reason=\"worker_died\"", \
    "Requests that got no whole response, by reason.") \
  X(shed, counter, "shed", "shed_requests_total", "", \
    "Requests refused with 503 because of max_in_flight or max_connections.") \
  X(overload_critical, counter, "overload/shed/critical", "overload_shed_total", "priority=\"critical\"", \
    "Requests refused with 503 because the worker was overloaded, by the priority of their route.") \
  X(overload_normal, counter, "overload/shed/normal", "overload_shed_total", "priority=\"normal\"", \
    "Requests refused with 503 because the worker was overloaded, by the priority of their route.") \
  X(overload_background, counter, "overload/shed/background", "overload_shed_total", "priority=\"background\"", \
    "Requests refused with 503 because the worker was overloaded, by the priority of their route.") \
  X(overloaded, gauge, "overload/workers", "overloaded_workers", "", "Workers that are overloaded now.") \
  X(accept_pauses, counter, "accept_pauses", "accept_pauses_total", "", \
    "Times that accepting was paused because descriptors or memory ran out.") \
  X(limits_refused, counter, "limits_refused", "rate_limit_refused_total", "", "Requests refused by a rate limit.") \
  X(limits_unavailable, counter, "limits_unavailable", "rate_limit_unavailable_total", "", \
    "Rate-limit decisions made without Redis.") \
  X(limits_shadowed, counter, "limits_shadowed", "rate_limit_shadow_refused_total", "", \
    "Requests that a rate limit in shadow mode would have refused.") \
  X(limits_leased, counter, "limits_leased", "rate_limit_leased_total", "", \
    "Rate-limit decisions made from permits that the machine has leased.") \
  X(cache_hits, counter, "cache/hits", "cache_lookups_total", "result=\"hit\"", "Lookups in the cache, by result.") \
  X(cache_stale, counter, "cache/stale", "cache_lookups_total", "result=\"stale\"", "Lookups in the cache, by result.") \
  X(cache_misses, counter, "cache/misses", "cache_lookups_total", "result=\"miss\"", "Lookups in the cache, by result.") \
  X(cache_fills, counter, "cache/fills", "cache_fills_total", "", "Values that were computed for the cache.") \
  X(cache_waits, counter, "cache/waits", "cache_waits_total", "", "Lookups that waited while another one computed.") \
  X(cache_unavailable, counter, "cache/unavailable", "cache_unavailable_total", "", \
    "Lookups that had to do without Redis.") \
  X(cache_queued_writes, gauge, "cache/queued_writes", "cache_queued_writes", "", \
    "Writes of write_behind() that are waiting or running.") \
  X(quarantined, counter, "quarantined", "quarantined_requests_total", "", \
    "Requests refused by the quarantine.") \
  PRONGHORN_LIMIT(X, request_line)        /* max_request_line: 414 */ \
  PRONGHORN_LIMIT(X, header_bytes)        /* max_header_bytes: 431 */ \
  PRONGHORN_LIMIT(X, header_fields)       /* max_header_fields: 431 */ \
  PRONGHORN_LIMIT(X, body)                /* max_body: 413 */ \
  PRONGHORN_LIMIT(X, header_time)         /* header_timeout: 408 */ \
  PRONGHORN_LIMIT(X, body_time)           /* body_timeout: 408 */ \
  PRONGHORN_LIMIT(X, receive_rate)        /* min_receive_rate: 408 */ \
  PRONGHORN_LIMIT(X, write_time)          /* write_timeout: the connection is reset */ \
  PRONGHORN_LIMIT(X, keep_alive_time)     /* keep_alive_timeout: an idle connection is closed */ \
  PRONGHORN_LIMIT(X, keep_alive_requests) /* keep_alive_requests: the connection closes after its response */ \
  PRONGHORN_LIMIT(X, keep_alive_age)      /* keep_alive_age: the same */ \
  PRONGHORN_LIMIT(X, websocket_ping)      /* websocket_ping: a WebSocket that does not answer is closed */ \
  PRONGHORN_LIMIT(X, deadline)            /* request_timeout, or the route's own: 504 */ \
  PRONGHORN_LIMIT(X, connections)         /* max_connections: 503 */ \
  PRONGHORN_LIMIT(X, in_flight)           /* max_in_flight: 503 */ \
  PRONGHORN_LIMIT(X, queued_output)       /* max_queued_output: the next request waits */ \
  PRONGHORN_LIMIT(X, tls_handshakes)      /* tls_handshakes: the next one waits */ \
  PRONGHORN_LIMIT(X, streams)             /* max_streams: the request is refused */ \
  PRONGHORN_LIMIT(X, stream_resets)       /* max_stream_resets: the HTTP/2 connection ends */ \
  PRONGHORN_LIMIT(X, control_frames)      /* max_control_frames: the same */ \
  X(tls_full, counter, "tls/full", "tls_handshakes_total", "result=\"full\"", "TLS handshakes, by what became of them.") \
  X(tls_resumed, counter, "tls/resumed", "tls_handshakes_total", "result=\"resumed\"", \
    "TLS handshakes, by what became of them.") \
  PRONGHORN_TLS_FAILURE(X, plain_http) \
  PRONGHORN_TLS_FAILURE(X, version) \
  PRONGHORN_TLS_FAILURE(X, cipher) \
  PRONGHORN_TLS_FAILURE(X, protocol) \
  PRONGHORN_TLS_FAILURE(X, certificate) \
  PRONGHORN_TLS_FAILURE(X, rejected) \
  PRONGHORN_TLS_FAILURE(X, client_left) \
  PRONGHORN_TLS_FAILURE(X, timed_out) \
  PRONGHORN_TLS_FAILURE(X, malformed) \
  X(http2_requests, counter, "http2/requests", "http2_requests_total", "", \
    "Requests answered over HTTP/2, which requests_total counts too.") \
  X(http2_connections, gauge, "http2/connections", "http2_connections", "", \
    "Connections open now that speak HTTP/2.") \
  X(loop_idle, time, "loop_idle_ms", "loop_idle_seconds_total", "", \
    "Time that the event loop waited for something to do.") \
  X(loop_lag, worst_time, "loop_lag_ms", "loop_lag_seconds", "", \
    "Longest delay of the event loop in the last second.") \
  X(stalls, counter, "stalls", "loop_stalls_total", "", "Times that the event loop was blocked for stall_threshold.") \
  X(redis_commands, counter, "redis/commands", "redis_commands_total", "", "Commands sent to Redis.") \
  X(redis_errors, counter, "redis/errors", "redis_errors_total", "", "Redis commands that failed or timed out.") \
  X(redis_latency, worst_time, "redis/latency_ms", "redis_latency_seconds", "", \
    "Moving average of one round trip to Redis.") \
  X(redis_circuits_open, gauge, "redis/circuits_open", "redis_circuits_open", "", \
    "Servers of Redis to which commands fail at once.") \
  X(tokens_accepted, counter, "tokens/accepted", "token_checks_total", "result=\"accepted\"", \
    "Access tokens that requests brought, by what became of them.") \
  X(tokens_expired, counter, "tokens/expired", "token_checks_total", "result=\"expired\"", \
    "Access tokens that requests brought, by what became of them.") \
  X(tokens_revoked, counter, "tokens/revoked", "token_checks_total", "result=\"revoked\"", \
    "Access tokens that requests brought, by what became of them.") \
  X(tokens_invalid, counter, "tokens/invalid", "token_checks_total", "result=\"invalid\"", \
    "Access tokens that requests brought, by what became of them.") \
  X(tokens_unavailable, counter, "tokens/unavailable", "token_unavailable_total", "", \
    "Access tokens that could not be looked up among the revoked ones, because Redis was unavailable.") \
  X(tokens_refreshed, counter, "tokens/refreshed", "token_refreshes_total", "result=\"refreshed\"", \
    "Refresh tokens that were presented, by what became of them.") \
  X(tokens_not_refreshed, counter, "tokens/not_refreshed", "token_refreshes_total", "result=\"refused\"", \
    "Refresh tokens that were presented, by what became of them.") \
  X(tokens_reused, counter, "tokens/reused", "token_refreshes_total", "result=\"reused\"", \
    "Refresh tokens that were presented, by what became of them.") \
  X(events_published, counter, "events/published", "events_published_total", "", "Events published.") \
  X(events_delivered, counter, "events/delivered", "events_delivered_total", "", \
    "Events given to clients, readers and handlers: one published event may be many.") \
  X(events_dropped, counter, "events/dropped", "events_dropped_total", "", \
    "Events that a slow client, reader or handler did not get.") \
  X(events_gaps, counter, "events/gaps", "events_gaps_total", "", \
    "Times that events of a topic may have been missed by all its readers in a worker.") \
  X(events_relayed, counter, "events/relayed", "events_relayed_total", "", \
    "Events passed to other workers of the machine: once per worker that reads the topic.") \
  X(events_relay_overflows, counter, "events/relay_overflows", "events_relay_overflows_total", "", \
    "Times that a worker was too slow for the events that the relay passed to it.") \
  X(sockets, gauge, "websockets/open", "websockets", "", "WebSockets open now.") \
  X(sockets_opened, counter, "websockets/opened", "websockets_opened_total", "", "Handshakes of WebSockets accepted.") \
  X(sockets_closed, counter, "websockets/closed_by_server", "websockets_closed_by_server_total", "", \
    "WebSockets that the server has closed: by the application, for a broken rule or limit, or because it stops.") \
  X(sockets_too_slow, counter, "websockets/too_slow", "websockets_too_slow_total", "", \
    "WebSockets closed because their client was too slow.") \
  X(log_lines_dropped, counter, "log_lines_dropped", "log_lines_dropped_total", "", \
    "Lines of the log and the access log that were dropped.") \
  X(open_descriptors, gauge, "open_descriptors", "open_descriptors", "", "File descriptors that the worker has open.") \
  X(descriptor_limit, gauge, "descriptor_limit", "descriptor_limit", "", "File descriptors that the worker may have.") \
  X(handed_over_death, counter, "connections_handed_over/death", "connections_handed_over_total", "reason=\"death\"", \
    "Connections that another worker went on with, by the reason.") \
  X(handed_over_drain, counter, "connections_handed_over/drain", "connections_handed_over_total", "reason=\"drain\"", \
    "Connections that another worker went on with, by the reason.") \
  X(requests_replayed, counter, "requests_replayed", "requests_replayed_total", "", \
    "Requests executed a second time because their worker died.") \
  X(jobs_waiting, highest, "jobs/waiting", "jobs_waiting", "", \
    "Jobs in Redis that wait for a worker, for their time or for their next attempt.") \
  X(jobs_running, gauge, "jobs/running", "jobs_running", "", "Jobs that run in this server's workers now.") \
  X(jobs_dead_letters, highest, "jobs/dead_letters", "jobs_dead_letters", "", \
    "Jobs in Redis that failed or are dead, until they are retried, dropped or expire.") \
  X(jobs_done, counter, "jobs/done", "job_attempts_total", "result=\"done\"", \
    "Attempts to carry out a job that have ended, by their result.") \
  X(jobs_retried, counter, "jobs/retried", "job_attempts_total", "result=\"retried\"", \
    "Attempts to carry out a job that have ended, by their result.") \
  X(jobs_failed, counter, "jobs/failed", "job_attempts_total", "result=\"failed\"", \
    "Attempts to carry out a job that have ended, by their result.") \
  X(jobs_dead, counter, "jobs/dead", "job_attempts_total", "result=\"dead\"", \
    "Attempts to carry out a job that have ended, by their result.") \
  X(jobs_given_back, counter, "jobs/given_back", "job_attempts_total", "result=\"given_back\"", \
    "Attempts to carry out a job that have ended, by their result.") \
  X(jobs_fenced, counter, "jobs/fenced", "jobs_fenced_total", "", \
    "Jobs that a worker finished after another one had taken them over.") \
  X(restarts, counter, "restarts", "worker_restarts_total", "", "Workers replaced because they exited.") \
  X(recycled, counter, "recycled", "worker_recycled_total", "", \
    "Workers replaced because of their requests, age or memory.")

#define PRONGHORN_TLS_FAILURE(X, reason) \
  X(tls_failed_##reason, counter, "tls/failed/" #reason, "tls_handshake_failures_total", "reason=\"" #reason "\"", \
    "TLS handshakes that have failed, by the reason.")
#define PRONGHORN_LIMIT(X, option) \
  X(limit_##option, counter, "limits/" #option, "limits_hit_total", "limit=\"" #option "\"", \
    "Limits and timeouts of the HTTP engine that were reached.")
// clang-format on

#define PRONGHORN_ENUMERATOR(id, ...) id,
enum class Count : std::uint8_t { PRONGHORN_COUNTERS(PRONGHORN_ENUMERATOR) end };
#undef PRONGHORN_ENUMERATOR

inline constexpr auto kCounts = static_cast<std::size_t>(Count::end);

struct CounterFacts {
  CounterKind kind;
  std::string_view path;
  std::string_view family;
  std::string_view label;
  std::string_view help;
};

#define PRONGHORN_FACTS(id, kind, ...) CounterFacts{CounterKind::kind, __VA_ARGS__},
inline constexpr std::array<CounterFacts, kCounts> kCounterFacts{{PRONGHORN_COUNTERS(PRONGHORN_FACTS)}};
#undef PRONGHORN_FACTS
#undef PRONGHORN_LIMIT
#undef PRONGHORN_TLS_FAILURE
#undef PRONGHORN_COUNTERS

[[nodiscard]] constexpr const CounterFacts& facts_of(Count count) noexcept {
  return kCounterFacts[static_cast<std::size_t>(count)];
}

[[nodiscard]] constexpr bool is_gauge(CounterKind kind) noexcept {
  return kind == CounterKind::gauge || kind == CounterKind::worst_time || kind == CounterKind::highest;
}
[[nodiscard]] constexpr bool is_time(CounterKind kind) noexcept {
  return kind == CounterKind::time || kind == CounterKind::worst_time;
}

// The counter of a response's class. `status` is 100 to 599.
[[nodiscard]] constexpr Count responses_of(int status) noexcept {
  return static_cast<Count>(static_cast<int>(Count::responses_1xx) + status / 100 - 1);
}

// What was counted, by Count: the values that readers add up.
struct CounterSums {
  std::array<std::uint64_t, kCounts> values{};
  [[nodiscard]] std::uint64_t& operator[](Count count) noexcept { return values[static_cast<std::size_t>(count)]; }
  [[nodiscard]] std::uint64_t operator[](Count count) const noexcept { return values[static_cast<std::size_t>(count)]; }
};

}  // namespace pronghorn
