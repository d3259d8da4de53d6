// A scoreboard as a server with two slots would leave it: slot 0 is being replaced (old and new worker live), slot 1
// had a worker that crashed and has none now.
#pragma once

#include "common/ipc/scoreboard.h"

namespace pronghorn {

inline void set_route(WorkerRow& row, std::size_t index, std::string_view name, std::uint64_t requests,
                      std::uint64_t errors, std::uint64_t latency_us) {
  RouteRow& route = row.routes[index];
  route.route.set(name);
  add(route.requests, requests);
  add(route.errors, errors);
  for (std::uint64_t i = 0; i < requests; ++i) route.latency.record(latency_us);
}

// Of WebSockets; each figure is another multiple of `unit`.
inline void set_sockets(SocketRow& row, std::uint64_t unit) {
  row.used = 1;
  row.open = unit;
  row.queued = 2 * unit;
  row.messages_in = 3 * unit;
  row.messages_out = 4 * unit;
  row.bytes_in = 5 * unit;
  row.bytes_out = 6 * unit;
  row.skipped = 7 * unit;
}

inline void set_worker(WorkerRow& row, std::uint32_t pid, WorkerPhase phase, std::uint64_t requests,
                       std::uint64_t latency_us) {
  row.pid = pid;
  row.phase = phase;
  row.stamp_ms = monotonic_ms();
  add(row[Count::requests], requests);
  add(row[Count::responses_2xx], requests - 1);
  add(row[Count::responses_5xx], 1);
  add(row[Count::connections], 5);
  add(row[Count::in_flight], 2);
  add(row[Count::accepted], 50);
  add(row[Count::bytes_in], 1000);
  add(row[Count::bytes_out], 2000);
  add(row[Count::redis_commands], 30);
  add(row[Count::redis_errors], 3);
  for (std::uint64_t i = 0; i < requests; ++i) row.latency.record(latency_us);
}

inline void fill_server(ServerRow& server) {
  server.pid = 4000;
  server.generation = 2;
  server.slots = 2;
  server.started_ms = monotonic_ms() - 60'000;
  server.listen.set("127.0.0.1:8080\nunix:/tmp/a folder/p.sock");
  server.redis_mode.set("embedded");
}

inline void fill_slot_0(Scoreboard& board) {
  SlotRow& slot = board.slot(0);
  slot.pid = 4001;
  slot.old_pid = 4002;
  slot.row = 0;
  slot.state = SlotState::ready;
  slot.generation = 2;
  slot.started_ms = monotonic_ms() - 10'000;
  slot.rss_bytes = 50'000'000;
  slot.cpu_percent_x100 = 1250;
  slot.requests_per_s_x100 = 12'345;
  slot.loop_utilisation_x10000 = 2500;
  set_worker(board.worker(0, 0), 4001, WorkerPhase::ready, 10, 1000);
  set_worker(board.worker(0, 1), 4002, WorkerPhase::draining, 20, 3000);
  board.worker(0, 0).redis_state = RedisState::up;
  board.worker(0, 0)[Count::redis_latency] = 250;
  board.worker(0, 0)[Count::loop_lag] = 1500;
  set_route(board.worker(0, 0), 0, "GET /hello", 6, 0, 1000);
  set_route(board.worker(0, 0), 1, "GET /users/{id}", 4, 1, 2000);
  set_route(board.worker(0, 1), 0, "GET /users/{id}", 20, 1, 3000);
}

inline void fill_slot_1(Scoreboard& board) {
  SlotRow& slot = board.slot(1);
  slot.state = SlotState::backoff;
  slot.generation = 2;
  slot.started_ms = monotonic_ms() - 5'000;
  slot.rss_bytes = 99;  // left by the last sample
  add(slot[Count::restarts], 3);
  slot.last_exit_at = 1795322796;
  slot.last_exit_reason.set("signal 11 (SIGSEGV)");
  slot.last_exit_request.set("POST /crash id=abc");
  set_worker(board.worker(1, 0), 4003, WorkerPhase::ready, 7, 1000);
  board.worker(1, 0).redis_state = RedisState::up;
}

inline Scoreboard make_board() {
  Scoreboard board = Scoreboard::create();
  fill_server(board.server());
  fill_slot_0(board);
  fill_slot_1(board);
  return board;
}

}  // namespace pronghorn
