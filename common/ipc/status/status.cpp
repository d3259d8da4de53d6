#include "common/ipc/status/status.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "common/ipc/quarantine_table.h"
#include "common/ipc/status/degradations.h"
#include "common/ipc/status/status_parts.h"
#include "common/log_format.h"
#include "common/text/json_text.h"
#include "common/version.h"

namespace pronghorn {
namespace {

using nlohmann::json;

json lines(const std::string& text) {
  json list = json::array();
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) list.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return list;
}

// The generations that workers run now.
json generations_json(const Scoreboard& board) {
  std::set<std::uint32_t> running;
  for (std::uint32_t slot = 0; slot < std::min(board.server().slots.load(), kMaxWorkers); ++slot) {
    if (board.slot(slot).pid.load() != 0) running.insert(board.slot(slot).generation.load());
  }
  return running;
}

json certificates_json(const Scoreboard& board) {
  const ServerRow& server = board.server();
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  json certificates = json::array();
  for (std::size_t i = 0; i < std::min<std::size_t>(server.certificates.load(), kMaxCertificateRows); ++i) {
    const CertificateRow& row = server.certificate_rows[i];
    const auto not_after = static_cast<std::int64_t>(row.not_after.load());
    certificates.push_back({{"file", row.file.get()},
                            {"names", row.names.get()},
                            {"not_after", rfc3339(not_after)},
                            {"expires_in_s", not_after - now}});
  }
  return certificates;
}

json server_json(const Scoreboard& board) {
  const ServerRow& server = board.server();
  return {{"name", kServerName},
          {"app", server.name.get()},
          {"version", kVersion},
          {"pid", server.pid.load()},
          {"uptime_s", seconds_since(server.started_ms.load())},
          {"generation", server.generation.load()},
          {"generations", generations_json(board)},
          {"listen", lines(server.listen.get())},
          {"certificates", certificates_json(board)},
          {"slots", server.slots.load()},
          {"draining", server.draining.load() != 0},
          {"degraded", degradations(board)}};
}

json totals_json(const Scoreboard& board, const std::vector<SlotSum>& sums) {
  std::uint64_t requests_per_s_x100 = 0;
  for (const SlotSum& sum : sums) {
    const SlotRow& slot = board.slot(sum.slot);
    if (slot.pid.load() != 0) requests_per_s_x100 += slot.requests_per_s_x100.load();
  }
  json totals = counters_json(sum_all(board, sums));
  totals["requests_per_s"] = static_cast<double>(requests_per_s_x100) / 100.0;
  return totals;
}

json quarantine_json(const Scoreboard& board) {
  const auto now_at = static_cast<long long>(std::time(nullptr));
  json entries = json::array();
  for (const QuarantineEntry& entry : quarantine_entries(board.quarantine(), monotonic_ms())) {
    entries.push_back({{"id", entry.request.id},
                       {"method", entry.request.method},
                       {"route", entry.request.route},
                       {"shape", entry.request.shape},
                       {"since", rfc3339(static_cast<long long>(entry.since_at))},
                       {"until", rfc3339(now_at + static_cast<long long>((entry.left_ms + 999) / 1000))},
                       {"kills", entry.kills},
                       {"refused", entry.refused},
                       {"shared", entry.shared}});
  }
  return entries;
}

json redis_json(const Scoreboard& board) {
  const FleetRedis redis = fleet_redis(board);
  const std::string address = board.server().redis_address.get();
  return {{"mode", board.server().redis_mode.get()},
          {"state", to_string(redis.state)},
          {"address", address.empty() ? json(nullptr) : json(address)},
          {"since", redis.since_at == 0 ? json(nullptr) : json(rfc3339(static_cast<long long>(redis.since_at)))},
          {"error", redis.error.empty() ? json(nullptr) : json(redis.error)}};
}

// The worker that receives topics for all.
json relay_json(const Scoreboard& board) {
  const std::uint32_t pid = board.server().relay_pid.load();
  if (pid == 0) return nullptr;
  const std::uint64_t since = board.server().relay_since_at.load();
  return {{"pid", pid}, {"since", rfc3339(static_cast<long long>(since))}};
}

json rollout_json(const Scoreboard& board) {
  const RolloutRow& rollout = board.server().rollout;
  const std::uint64_t at = rollout.at.load();
  if (at == 0) return nullptr;
  return {{"at", rfc3339(static_cast<long long>(at))},
          {"result", rollout.succeeded.load() != 0 ? "succeeded" : "failed"},
          {"generation", rollout.generation.load()},
          {"message", rollout.message.get()}};
}

json route_json(const RouteSum& route) {
  json entry{{"route", route.route},
             {"requests", route.requests},
             {"errors", route.errors},
             {"latency_ms", latency_json(route.latency)}};
  if (route.sockets) {
    entry["websockets"] = {{"open", route.sockets->open},
                           {"messages_received", route.sockets->messages_in},
                           {"messages_sent", route.sockets->messages_out},
                           {"bytes_received", route.sockets->bytes_in},
                           {"bytes_sent", route.sockets->bytes_out},
                           {"queued_bytes", route.sockets->queued},
                           {"skipped", route.sockets->skipped}};
  }
  return entry;
}

json history_json(const Scoreboard& board, std::uint64_t seconds) {
  const HistoryRing& ring = board.history();
  const auto oldest = static_cast<std::uint64_t>(std::time(nullptr)) - seconds;
  json samples = json::array();
  const std::size_t first = ring.next.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < kHistorySamples; ++i) {
    const HistorySample& sample = ring.samples[(first + i) % kHistorySamples];
    const std::uint64_t at = sample.at.load();
    if (at == 0 || at < oldest) continue;
    samples.push_back({{"at", at},
                       {"requests", sample.requests.load()},
                       {"errors", sample.errors.load()},
                       {"restarts", sample.restarts.load()},
                       {"p50_ms", milliseconds(sample.p50_us.load())},
                       {"p99_ms", milliseconds(sample.p99_us.load())}});
  }
  return {{"interval_s", static_cast<double>(kHistoryIntervalMs) / 1000.0}, {"samples", std::move(samples)}};
}

}  // namespace

json status_json(const Scoreboard& board, std::uint64_t history_s) {
  const std::vector<SlotSum> sums = sum_slots(board);
  json workers = json::array();
  for (const SlotSum& sum : sums) {
    if (sum.listed) workers.push_back(worker_json(board, sum));
  }
  json job_workers = json::array();
  for (const SlotSum& sum : sum_job_slots(board)) {
    json& worker = job_workers.emplace_back(worker_json(board, sum));
    worker["slot"] = sum.slot - kFirstJobSlot;
  }
  json routes = json::array();
  for (const RouteSum& route : sum_routes(board)) routes.push_back(route_json(route));
  json status{{"server", server_json(board)},   {"totals", totals_json(board, sums)},
              {"workers", std::move(workers)},  {"routes", std::move(routes)},
              {"rollout", rollout_json(board)}, {"quarantine", quarantine_json(board)},
              {"redis", redis_json(board)},     {"distributor", distributor_json(board)}};
  status["job_workers"] = std::move(job_workers);
  status["relay"] = relay_json(board);
  status["overload"] = status["totals"]["overload"];
  status["lost_requests"] = status["totals"]["lost_requests"];
  if (history_s != 0) status["history"] = history_json(board, history_s);
  return status;
}

std::string status_json_text(const Scoreboard& board, std::uint64_t history_s) {
  return dump_json(status_json(board, history_s), 2) + '\n';
}

}  // namespace pronghorn
