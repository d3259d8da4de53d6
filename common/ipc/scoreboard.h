// The scoreboard: shared memory in which every process reports its state, so that any process can report on all.
//
// It is written without locks: each part has one writer (named at each struct), and readers may see a value that is a
// moment old. A memfd, sealed against growing and shrinking, created by the supervisor and inherited by workers. Zeroed
// memory is a valid empty scoreboard.
//
// A slot has several rows: while a worker is being replaced, the old and the new one run at the same time, and each
// needs a row that nobody else writes. The third row is for the worker that replaces a bad successor while the old one
// drains. Counters of a row are never reset, so totals outlive workers; gauges are zeroed when a worker takes the row.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "common/crash_record.h"
#include "common/histogram.h"
#include "common/ipc/counters.h"
#include "common/text/request_id.h"

namespace pronghorn {

// The slots of workers come first, then those of two processes that run no application, then those of workers that run
// jobs and serve no requests (option job_workers).
inline constexpr std::uint32_t kMaxWorkers = 255;
inline constexpr std::uint32_t kAdminSlot = kMaxWorkers;
inline constexpr std::uint32_t kDistributorSlot = kMaxWorkers + 1;  // accepts for the workers (distributor/)
inline constexpr std::uint32_t kFirstJobSlot = kMaxWorkers + 2;
inline constexpr std::uint32_t kMaxJobWorkers = 64;
inline constexpr std::uint32_t kMaxSlots = kFirstJobSlot + kMaxJobWorkers;
[[nodiscard]] constexpr bool is_worker_slot(std::uint32_t slot) noexcept { return slot < kMaxWorkers; }
[[nodiscard]] constexpr bool is_job_slot(std::uint32_t slot) noexcept {
  return slot >= kFirstJobSlot && slot < kMaxSlots;
}
inline constexpr std::uint32_t kRowsPerSlot = 3;
inline constexpr std::size_t kMaxRoutes = 256;  // per worker; the last is "other", for all further routes

using Counter = std::atomic<std::uint64_t>;

// Adds without a locked instruction. Only for the single writer of the value.
inline void add(Counter& counter, std::uint64_t by = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}
inline void subtract(Counter& counter, std::uint64_t by = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) - by, std::memory_order_relaxed);
}

// Text of at most N-1 bytes that one process writes and others read concurrently. A reader gets a whole text, except
// after a writer crashed in the middle of set(): then it gets the half-written one.
template <std::size_t N>
class SharedText {
 public:
  // Writer only. Truncates a text that is too long.
  void set(std::string_view text) noexcept {
    // Odd while writing, even if an earlier writer died in the middle and left it odd.
    const std::uint32_t writing = (version_.load(std::memory_order_relaxed) + 1) | 1U;
    version_.store(writing, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    const std::size_t length = text.size() < N - 1 ? text.size() : N - 1;
    for (std::size_t i = 0; i < length; ++i) bytes_[i].store(text[i], std::memory_order_relaxed);
    length_.store(static_cast<std::uint32_t>(length), std::memory_order_relaxed);
    version_.store(writing + 1, std::memory_order_release);
  }
  [[nodiscard]] std::string get() const {
    for (int attempt = 0; attempt < 1000; ++attempt) {
      const std::uint32_t before = version_.load(std::memory_order_acquire);
      std::string text = copy();
      std::atomic_thread_fence(std::memory_order_acquire);
      if (before % 2 == 0 && version_.load(std::memory_order_relaxed) == before) return text;
    }
    return copy();
  }

 private:
  [[nodiscard]] std::string copy() const {
    std::string text(std::min<std::size_t>(length_.load(std::memory_order_relaxed), N - 1), '\0');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = bytes_[i].load(std::memory_order_relaxed);
    return text;
  }
  std::atomic<std::uint32_t> version_;
  std::atomic<std::uint32_t> length_;
  std::atomic<char> bytes_[N];  // atomic, as a reader may see a text that is being written
};

using LatencyHistogram = Histogram<4, std::uint64_t>;
using RouteHistogram = Histogram<3, std::uint32_t>;

// The WebSockets of one route of one worker.
struct SocketRow {
  std::atomic<std::uint32_t> used;  // 1: it is a route of WebSockets; else all is zero
  Counter open;                     // gauge
  Counter queued;                   // gauge: bytes that wait for clients
  Counter messages_in;
  Counter messages_out;
  Counter bytes_in;
  Counter bytes_out;
  Counter skipped;  // events that slow clients did not get
};

// One route of one worker. Written by the worker.
struct RouteRow {
  SharedText<112> route;  // "GET /users/{id}"; an empty one ends the table
  Counter requests;
  Counter errors;  // 5xx
  RouteHistogram latency;
  SocketRow sockets;
};

// The request that the worker is executing now: when the worker exits, the log names it. The worker writes it for every
// request, so it holds only what is cheap to write; readers format it.
struct RunningRequest {
  std::atomic<std::uint32_t> active;      // 1 while the request's code runs on the loop
  std::atomic<std::uint64_t> started_ns;  // monotonic
  std::atomic<std::uint32_t> route;       // index in WorkerRow::routes; kMaxRoutes or more: none
  RequestId id;
  char line[208];       // method, blank, path; truncated; NUL-terminated
  char client_id[129];  // X-Request-Id of a trusted proxy; NUL-terminated; empty: none
  char trace_id[33];    // of the caller's traceparent; the same
};
// "POST /crash". Without a NUL (the writer died in the middle) the text ends at the end of the array.
[[nodiscard]] std::string line_of(const RunningRequest& running);
// The id of the request as its response and the access log have it: that of a trusted proxy, or else our own.
[[nodiscard]] std::string id_of(const RunningRequest& running);
// The same of the request that a blocked loop was executing; empty: it was executing none.
[[nodiscard]] std::string id_of(const StallRecord& stall);

// One request that is refused because it killed workers; see common/ipc/quarantine_table.h. Written by the supervisor,
// except `refused`, to which every worker adds with a locked instruction.
struct QuarantineRow {
  std::atomic<std::uint64_t> until_ms;  // monotonic; 0: the row is free
  std::atomic<std::uint64_t> since_at;  // seconds since 1970
  std::atomic<std::uint32_t> kills;
  std::atomic<std::uint32_t> shared;  // 1: Redis has it too
  Counter refused;                    // requests, on this machine
  SharedText<208> request;            // QuarantinedRequest as text
};
inline constexpr std::size_t kMaxQuarantined = 100;

struct alignas(64) QuarantineTable {
  std::atomic<std::uint32_t> count;    // rows in use
  std::atomic<std::uint32_t> version;  // incremented after each change of the rows
  std::array<QuarantineRow, kMaxQuarantined> rows;
};

// Permits of one key of a rate limit that the machine has leased from Redis. Every worker writes it, by compare-and-swap:
// see worker/state/limits/permits/leases.h. Times are monotonic milliseconds.
struct alignas(32) LeaseRow {
  std::atomic<std::uint64_t> tag;             // whose permits they are
  std::atomic<std::uint64_t> state;           // how many, and until when
  std::atomic<std::uint64_t> fetching_until;  // a worker asks Redis for more; 0: none does
  std::atomic<std::uint32_t> rest;            // how many Redis had left, for the fields of responses
  std::atomic<std::uint32_t> reset_s;         // when it has more: monotonic seconds, likewise
};
inline constexpr std::size_t kLeaseRows = 4096;

struct alignas(64) LeaseTable {
  std::array<std::atomic<std::uint64_t>, 2> seed;  // of the digests of keys: random, written once; 0: not yet
  std::array<LeaseRow, kLeaseRows> rows;
};

enum class RedisState : std::uint32_t { off, connecting, up, down };

// Whether commands are sent to a server of Redis: see worker/state/redis/health/circuit_breaker.h.
enum class RedisCircuit : std::uint32_t {
  closed,     // they are
  open,       // they fail at once
  half_open,  // they fail at once, while one probe finds out whether the server answers
};

// One server of Redis as a worker sees it. Written by the worker.
struct RedisNodeRow {
  SharedText<96> address;  // without the password; empty: the table ends
  std::atomic<RedisState> state;
  std::atomic<RedisCircuit> circuit;
  std::atomic<std::uint32_t> is_replica;  // 1: a replica, for reads that may be stale
  std::atomic<std::uint64_t> since_at;    // seconds since 1970: when state or circuit changed
};
inline constexpr std::size_t kMaxRedisNodes = 16;  // per worker; further ones are not shown

enum class WorkerPhase : std::uint32_t { none, booting, ready, draining };

// The guardian of a worker (worker/guardian/guardian.h), and what became of the connections of workers that died.
// Written by guardians; several may share a row, so they count with locked instructions. The supervisor takes what has
// been counted when it reports it.
struct GuardianRow {
  std::atomic<std::uint32_t> worker;  // whose guardian `pid` is
  std::atomic<std::uint32_t> pid;
  Counter handed_over;  // connections that are in the queue, or further
  Counter lost;         // connections that ended with the worker
  // Requests that the application had seen, on connections that were handed over.
  Counter run_again;
  Counter refused;   // answered 503
  Counter crashed;   // answered 500: they crashed the worker
  Counter finished;  // their response was known: what had not left is sent
  Counter cut;       // on connections that ended with the worker: not answered, or not whole
  // Of the connections that were handed over. No request counts for them.
  Counter sockets;          // they are WebSockets
  Counter messages_again;   // a message of theirs was being handled, and is handled again
  Counter sockets_refused;  // to be closed by the next worker: a message crashed this one, or was lost in part
  // What was in flight in the last worker that died, for its crash report; ids are not known. Plain memory, written by
  // its guardian before that passes anything on.
  std::atomic<std::uint32_t> requests_of;  // the pid of that worker, stored last; 0: being written
  std::atomic<std::uint32_t> requests_count;
  std::array<LostRequest, kMaxReportedRequests> requests;
};

// What one process counts of one worker or slot, by Count.
//
// Who counts: the worker in the array of its row, the supervisor in the array of the slot (or, if no slot is concerned,
// of the server), so each value has one writer. Reports add them up (common/ipc/status/fleet.h): either process may count
// anything.
struct alignas(64) CounterArray {
  std::array<Counter, kCounts> values;
  [[nodiscard]] Counter& operator[](Count count) noexcept { return values[static_cast<std::size_t>(count)]; }
  [[nodiscard]] const Counter& operator[](Count count) const noexcept {
    return values[static_cast<std::size_t>(count)];
  }
};

// One worker process. Written by the worker alone.
struct alignas(64) WorkerRow {
  std::atomic<std::uint32_t> pid;
  std::atomic<WorkerPhase> phase;
  std::atomic<std::uint64_t> stamp_ms;  // monotonic time of the last turn of the loop
  std::atomic<std::uint32_t> waiting;   // 1 while the loop waits for events or calls their callbacks
  Counter requests_before;              // Count::requests when this worker took the row over
  SharedText<128> incarnation;          // names the process to other workers (worker/state/idempotency/holder.h)
  std::atomic<RedisState> redis_state;
  std::atomic<std::uint64_t> redis_since_at;  // seconds since 1970: when redis_state changed; 0: never
  SharedText<256> redis_error;                // what is wrong; empty if nothing is
  std::array<RedisNodeRow, kMaxRedisNodes> redis_nodes;

  std::atomic<std::uint64_t> overloaded_since_at;  // seconds since 1970: when Count::overloaded became 1; 0: it is not

  GuardianRow guardian;
  CounterArray counters;
  LatencyHistogram latency;  // from the end of the head until the whole response is handed to the socket
  RunningRequest running;
  std::array<RouteRow, kMaxRoutes> routes;

  // See common/crash_record.h.
  CrashRecord crash;
  StallRecord stall;
  ModuleTable modules;
  LogRing log;

  // Lines that the log and the access log have not taken and Count::log_lines_dropped does not include. When the worker
  // ends they are lost, and the supervisor counts them.
  Counter unwritten_log_lines;
  Counter unwritten_access_lines;

  [[nodiscard]] Counter& operator[](Count count) noexcept { return counters[count]; }
  [[nodiscard]] const Counter& operator[](Count count) const noexcept { return counters[count]; }
};

enum class SlotState : std::uint32_t { empty, starting, ready, draining, backoff, stopped };

// What the supervisor knows of a slot. Written by the supervisor alone.
struct alignas(64) SlotRow {
  std::atomic<std::uint32_t> pid;  // of the current worker, 0: none
  std::atomic<SlotState> state;
  std::atomic<std::uint32_t> row;            // 0 to kRowsPerSlot - 1: the row of the current worker
  std::atomic<std::uint32_t> old_pid;        // of the worker being replaced, 0: none
  std::atomic<std::uint32_t> unguarded_pid;  // of the last worker whose guardian ended before it
  std::atomic<std::uint32_t> generation;
  std::atomic<std::uint64_t> started_ms;  // monotonic
  Counter rss_bytes;                      // sampled once a second from /proc
  Counter cpu_percent_x100;               // over the last second
  Counter requests_per_s_x100;
  Counter loop_utilisation_x10000;
  Counter mean_latency_us;                      // of the requests of the last second; 0: there were none
  std::atomic<std::uint32_t> backoff_exits;     // exits that made the slot wait before it starts another; 0: no wait
  std::atomic<std::uint64_t> backoff_began_ms;  // monotonic: the first of these exits
  std::atomic<std::uint64_t> backoff_until_ms;  // monotonic
  std::atomic<std::uint64_t> last_exit_at;      // seconds since 1970; 0: none
  SharedText<256> last_exit_reason;             // "signal 11 (SIGSEGV)", "exit status 1"
  SharedText<288> last_exit_request;            // "POST /crash id=…"; empty: it was not executing any
  SharedText<96> last_exit_report;              // file name of the crash report; empty: none
  SharedText<160> last_exit_connections;        // "3 connections handed over"; empty: it had none
  CounterArray counters;

  [[nodiscard]] Counter& operator[](Count count) noexcept { return counters[count]; }
  [[nodiscard]] const Counter& operator[](Count count) const noexcept { return counters[count]; }
};

// How the last rollout, rollback or canary ended. Written by the supervisor alone.
struct RolloutRow {
  std::atomic<std::uint64_t> at;          // seconds since 1970; 0: there was none
  std::atomic<std::uint32_t> succeeded;   // 1: every worker is of its generation
  std::atomic<std::uint32_t> generation;  // the one that it was about
  SharedText<288> message;                // as logged
};

// A certificate that the generation of the last complete rollout serves (supervisor/tls/).
struct CertificateRow {
  SharedText<256> file;
  SharedText<256> names;                 // that it is valid for: "example.org, *.example.org"; truncated
  std::atomic<std::uint64_t> not_after;  // seconds since 1970
  std::atomic<std::uint64_t> renew_by;   // seconds since 1970: from then on the server counts as degraded
};
inline constexpr std::size_t kMaxCertificateRows = 16;  // of more, those that expire first

// What happened in one interval of the history; see kHistoryInterval. Latencies are in microseconds.
struct HistorySample {
  std::atomic<std::uint64_t> at;  // its end: seconds since 1970; 0: the sample is empty
  std::atomic<std::uint64_t> requests;
  std::atomic<std::uint64_t> errors;  // 5xx
  std::atomic<std::uint64_t> restarts;
  std::atomic<std::uint64_t> p50_us;
  std::atomic<std::uint64_t> p99_us;
};
inline constexpr std::uint64_t kHistoryIntervalMs = 10'000;
inline constexpr std::size_t kHistorySamples = 360;  // an hour

// The last hour, as a ring. Written by the supervisor alone.
struct alignas(64) HistoryRing {
  std::atomic<std::uint32_t> next;  // index of the oldest sample, which is overwritten next
  std::array<HistorySample, kHistorySamples> samples;
};

// Facts about the server. Written by the supervisor alone.
struct alignas(64) ServerRow {
  std::uint32_t magic;
  std::uint32_t layout;  // sizeof(ScoreboardMemory): processes of different builds refuse to share it
  std::atomic<std::uint32_t> pid;
  std::atomic<std::uint32_t> generation;
  std::atomic<std::uint32_t> slots;                // in use now: 0 .. slots-1 may have workers
  std::atomic<std::uint32_t> draining;             // 1: the server is stopping, /ready is 503
  std::atomic<std::uint64_t> started_ms;           // monotonic
  SharedText<72> name;                             // of the application: the option `name`
  SharedText<2048> listen;                         // addresses, one per line
  SharedText<32> redis_mode;                       // embedded, server, none
  SharedText<320> redis_address;                   // without the password; empty with redis_mode none
  std::atomic<std::uint32_t> ready_without_redis;  // 1: ready_requires is nothing
  std::atomic<std::uint32_t> relay_pid;            // of the worker that receives the topics of all; 0: there is none
  std::atomic<std::uint64_t> relay_since_at;       // seconds since 1970: when it was appointed
  RolloutRow rollout;
  std::atomic<std::uint32_t> certificates;  // rows in use
  std::array<CertificateRow, kMaxCertificateRows> certificate_rows;
  CounterArray counters;  // what belongs to no slot

  [[nodiscard]] Counter& operator[](Count count) noexcept { return counters[count]; }
  [[nodiscard]] const Counter& operator[](Count count) const noexcept { return counters[count]; }
};

struct ScoreboardMemory {
  ServerRow server;
  QuarantineTable quarantine;
  LeaseTable leases;
  HistoryRing history;
  std::array<SlotRow, kMaxSlots> slots;
  std::array<WorkerRow, kMaxSlots * kRowsPerSlot> workers;
};
static_assert(std::is_trivially_destructible_v<ScoreboardMemory>);

// Maps the scoreboard. Owns the mapping and the descriptor. Pages that no worker touches take no memory.
class Scoreboard {
 public:
  // Supervisor: creates a new one. Throws std::system_error.
  static Scoreboard create();
  // Worker: maps an inherited descriptor and takes ownership of it. Throws std::runtime_error if the scoreboard is of
  // another build; then the caller still owns the descriptor.
  static Scoreboard attach(int fd);

  Scoreboard(Scoreboard&& other) noexcept;
  Scoreboard& operator=(Scoreboard&&) = delete;
  ~Scoreboard();

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] ServerRow& server() noexcept { return memory_->server; }
  [[nodiscard]] const ServerRow& server() const noexcept { return memory_->server; }
  [[nodiscard]] QuarantineTable& quarantine() noexcept { return memory_->quarantine; }
  [[nodiscard]] const QuarantineTable& quarantine() const noexcept { return memory_->quarantine; }
  [[nodiscard]] LeaseTable& leases() noexcept { return memory_->leases; }
  [[nodiscard]] HistoryRing& history() noexcept { return memory_->history; }
  [[nodiscard]] const HistoryRing& history() const noexcept { return memory_->history; }
  [[nodiscard]] SlotRow& slot(std::uint32_t slot) noexcept { return memory_->slots[slot]; }
  [[nodiscard]] const SlotRow& slot(std::uint32_t slot) const noexcept { return memory_->slots[slot]; }
  [[nodiscard]] WorkerRow& worker(std::uint32_t slot, std::uint32_t row) noexcept {
    return memory_->workers[slot * kRowsPerSlot + row];
  }
  [[nodiscard]] const WorkerRow& worker(std::uint32_t slot, std::uint32_t row) const noexcept {
    return memory_->workers[slot * kRowsPerSlot + row];
  }

 private:
  Scoreboard(int fd, ScoreboardMemory* memory) noexcept : fd_(fd), memory_(memory) {}
  int fd_;
  ScoreboardMemory* memory_;
};

// Worker: makes the row its own: pid, phase booting, gauges to zero.
void take_row(WorkerRow& row) noexcept;

// Zeroes the gauges, and counts the log lines that were not written as dropped. Called by the worker that takes the
// row, and by the supervisor once the row's worker is dead.
void clear_gauges(WorkerRow& row) noexcept;

// When the worker's loop turned last, or went on to another request: one turn may execute hundreds. Any process.
[[nodiscard]] std::uint64_t progress_ms(const WorkerRow& row, std::uint64_t now_ms) noexcept;

// For how many seconds the worker's loop has been blocked; 0 below kStuckMs. A loop that has nothing to do turns at
// least every 250 ms (worker/process/heartbeat.h). Any process.
inline constexpr std::uint64_t kStuckMs = 2'000;
[[nodiscard]] double stuck_seconds(const WorkerRow& row, std::uint64_t now_ms) noexcept;

// As in /status. "unknown" for a value of another build.
[[nodiscard]] const char* to_string(SlotState state) noexcept;
[[nodiscard]] const char* to_string(WorkerPhase phase) noexcept;
[[nodiscard]] const char* to_string(RedisState state) noexcept;
[[nodiscard]] const char* to_string(RedisCircuit circuit) noexcept;

// Milliseconds of CLOCK_MONOTONIC, the clock of every *_ms field.
[[nodiscard]] std::uint64_t monotonic_ms() noexcept;

}  // namespace pronghorn
