#include "server/commands/status/status_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "server/commands/status/table.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

using nlohmann::json;

constexpr std::size_t kBusiestRoutes = 10;

std::string redis_line(const json& redis) {
  if (at(redis, {"mode"}) == "none") return "redis none\n";
  std::string line = fmt::format("redis {}, {}", text_of(at(redis, {"mode"})), text_of(at(redis, {"state"})));
  const auto append = [&](const char* before, const char* field) {
    if (at(redis, {field}).is_string()) line += before + cut(text_of(at(redis, {field})));
  };
  append(" since ", "since");
  append(" at ", "address");
  append(": ", "error");
  return line + '\n';
}

// Nothing with the balances that need no distributor.
std::string distributor_line(const json& distributor) {
  if (!distributor.is_object()) return {};
  std::string line =
      fmt::format("distributor pid {}, {}, up {}, {} restarts, {} connections wait", text_of(at(distributor, {"pid"})),
                  text_of(at(distributor, {"state"})), uptime(at(distributor, {"uptime_s"})),
                  text_of(at(distributor, {"restarts"})), text_of(at(distributor, {"waiting"})));
  const json& exit = at(distributor, {"last_exit"});
  if (exit.is_object())
    line += fmt::format("; last exit {}: {}", text_of(at(exit, {"at"})), text_of(at(exit, {"reason"})));
  return line + '\n';
}

std::string server_lines(const json& status) {
  std::string listen;
  for (const json& address : at(status, {"server", "listen"})) listen += ' ' + text_of(address);
  const json& app = at(status, {"server", "app"});
  std::string out =
      fmt::format("{}{} {}  pid {}  up {}  generation {}  listening on{}\n", app.is_string() ? text_of(app) + "  " : "",
                  text_of(at(status, {"server", "name"})), text_of(at(status, {"server", "version"})),
                  text_of(at(status, {"server", "pid"})), uptime(at(status, {"server", "uptime_s"})),
                  text_of(at(status, {"server", "generation"})), listen.empty() ? " -" : listen);
  for (const json& reason : at(status, {"server", "degraded"})) out += "degraded: " + text_of(reason) + '\n';
  for (const json& certificate : at(status, {"server", "certificates"})) {
    out += fmt::format("certificate {} for {} until {}\n", cut(text_of(at(certificate, {"file"}))),
                       cut(text_of(at(certificate, {"names"}))), text_of(at(certificate, {"not_after"})));
  }
  return out + redis_line(at(status, {"redis"})) + distributor_line(at(status, {"distributor"}));
}

// "overloaded: 1 worker since 2026-…; shed so far: normal 1.2k". Empty if no worker ever was.
std::string overload_line(const json& overload) {
  std::string shed;
  for (const auto& [priority, number] : at(overload, {"shed"}).items()) {
    if (number_of(number) > 0)
      shed += fmt::format("{}{} {}", shed.empty() ? "" : ", ", printable(priority), short_count(number));
  }
  const double workers = number_of(at(overload, {"workers"}));
  if (workers == 0) return shed.empty() ? "" : fmt::format("shed by overload control: {}\n", shed);
  return fmt::format("overloaded: {} {} since {}; shed so far: {}\n", workers, workers == 1 ? "worker" : "workers",
                     text_of(at(overload, {"since"})), shed.empty() ? "nothing" : shed);
}

// What an operator asks about first, each only if there is any: lost requests, overload, the quarantine, the last
// rollout.
std::string event_lines(const json& status) {
  std::string out;
  double lost = 0;
  std::string reasons;
  for (const auto& [reason, number] : at(status, {"lost_requests"}).items()) {
    if (number_of(number) == 0) continue;
    lost += number_of(number);
    reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", printable(reason), short_count(number));
  }
  if (lost > 0) out += fmt::format("lost requests {} ({})\n", short_count(json(lost)), reasons);
  out += overload_line(at(status, {"overload"}));
  const json& quarantine = at(status, {"quarantine"});
  if (quarantine.is_array() && !quarantine.empty()) {
    out += fmt::format("quarantine: {} of request; \"pronghorn quarantine\" lists them\n",
                       quarantine.size() == 1 ? "1 kind" : fmt::format("{} kinds", quarantine.size()));
  }
  const json& rollout = at(status, {"rollout"});
  if (rollout.is_object()) {
    out += fmt::format("last rollout {} at {}: {}\n", text_of(at(rollout, {"result"})), text_of(at(rollout, {"at"})),
                       text_of(at(rollout, {"message"})));
  }
  return out;
}

std::string total_lines(const json& totals) {
  std::string out =
      fmt::format("{} requests, {}/s  {} in flight  {} connections  {} restarts  in {}  out {}\n",
                  short_count(at(totals, {"requests"})), rate(at(totals, {"requests_per_s"})),
                  text_of(at(totals, {"in_flight"})), text_of(at(totals, {"connections"})),
                  text_of(at(totals, {"restarts"})), bytes(at(totals, {"bytes_in"})), bytes(at(totals, {"bytes_out"})));
  out += "responses";
  for (const char* kind : {"1xx", "2xx", "3xx", "4xx", "5xx"}) {
    out += fmt::format("  {} {}", kind, short_count(at(totals, {"responses", kind})));
  }
  out += "  latency ms";
  for (const char* name : {"p50", "p90", "p99", "max"}) {
    out += fmt::format("  {} {}", name, milliseconds(at(totals, {"latency_ms", name})));
  }
  return out + '\n';
}

// Of all WebSockets; empty if none is open.
std::string socket_line(const json& status) {
  const json& sockets = at(status, {"totals", "websockets"});
  if (number_of(at(sockets, {"open"})) == 0) return {};
  const auto sum = [&status](const char* field) {
    double all = 0;
    for (const json& route : at(status, {"routes"})) all += number_of(at(route, {"websockets", field}));
    return json(all);
  };
  return fmt::format(
      "{} websockets  {} opened  {} closed by the server  {} too slow  messages in {}  out {}  {} queued\n",
      short_count(at(sockets, {"open"})), short_count(at(sockets, {"opened"})),
      short_count(at(sockets, {"closed_by_server"})), short_count(at(sockets, {"too_slow"})),
      short_count(sum("messages_received")), short_count(sum("messages_sent")), bytes(sum("queued_bytes")));
}

// "stuck 12s" for a worker whose loop is blocked.
std::string state_of(const json& worker) {
  const double stuck = number_of(at(worker, {"stuck_s"}));
  return stuck > 0 ? fmt::format("stuck {:.0f}s", stuck) : text_of(at(worker, {"state"}));
}

// "18 of 20000"
std::string descriptors(const json& worker) {
  if (number_of(at(worker, {"descriptor_limit"})) == 0) return "-";
  return fmt::format("{} of {}", text_of(at(worker, {"open_descriptors"})), text_of(at(worker, {"descriptor_limit"})));
}

std::string worker_table(const json& workers) {
  Table table({"slot", "pid", "<state", "gen", "uptime", "restarts", "req/s", "in-flight", "conns", "rss", "cpu",
               "loop", "p50", "p99", "descriptors", "<redis"});
  for (const json& worker : workers) {
    table.add({text_of(at(worker, {"slot"})), text_of(at(worker, {"pid"})), state_of(worker),
               text_of(at(worker, {"generation"})), uptime(at(worker, {"uptime_s"})), text_of(at(worker, {"restarts"})),
               rate(at(worker, {"requests_per_s"})), text_of(at(worker, {"in_flight"})),
               text_of(at(worker, {"connections"})), bytes(at(worker, {"rss_bytes"})),
               percent(number_of(at(worker, {"cpu_percent"}))),
               percent(100 * number_of(at(worker, {"loop_utilisation"}))),
               milliseconds(at(worker, {"latency_ms", "p50"})), milliseconds(at(worker, {"latency_ms", "p99"})),
               descriptors(worker), text_of(at(worker, {"redis", "state"}))});
  }
  return table.empty() ? "" : "\n" + table.render();
}

// What has been running on the workers' loops for more than a moment.
std::string running_table(const json& workers) {
  constexpr double kMoment = 100;  // milliseconds
  Table table({"slot", "<running", "<since", "for", "<id"});
  for (const json& worker : workers) {
    const json& running = at(worker, {"running"});
    if (number_of(at(running, {"for_ms"})) < kMoment) continue;
    table.add({text_of(at(worker, {"slot"})), cut(text_of(at(running, {"what"}))), text_of(at(running, {"since"})),
               fmt::format("{:.1f}s", number_of(at(running, {"for_ms"})) / 1000), text_of(at(running, {"id"}))});
  }
  // Workers that drain beside the one that serves the slot.
  for (const json& worker : workers) {
    for (const json& row : at(worker, {"rows"})) {
      const json& running = at(row, {"running"});
      if (at(row, {"pid"}) == at(worker, {"pid"}) || number_of(at(running, {"for_ms"})) < kMoment) continue;
      const std::string what = text_of(at(running, {"method"})) + ' ' + text_of(at(running, {"path"})) + " (draining)";
      table.add({text_of(at(worker, {"slot"})), cut(what), "-",
                 fmt::format("{:.1f}s", number_of(at(running, {"for_ms"})) / 1000), text_of(at(running, {"id"}))});
    }
  }
  return table.empty() ? "" : "\n" + table.render();
}

std::string exit_table(const json& workers) {
  Table table({"slot", "<last exit", "<reason", "<request", "<connections"});
  for (const json& worker : workers) {
    const json& last = at(worker, {"last_exit"});
    if (!last.is_object()) continue;
    table.add({text_of(at(worker, {"slot"})), text_of(at(last, {"at"})), text_of(at(last, {"reason"})),
               cut(text_of(at(last, {"request"}))), cut(text_of(at(last, {"connections"})))});
  }
  return table.empty() ? "" : "\n" + table.render();
}

std::string route_table(const json& routes) {
  std::vector<const json*> busiest;
  for (const json& route : routes) {
    if (number_of(at(route, {"requests"})) > 0) busiest.push_back(&route);
  }
  std::stable_sort(busiest.begin(), busiest.end(), [](const json* a, const json* b) {
    return number_of(at(*a, {"requests"})) > number_of(at(*b, {"requests"}));
  });
  busiest.resize(std::min(busiest.size(), kBusiestRoutes));
  Table table({"<busiest routes", "requests", "errors", "p50", "p99", "max"});
  for (const json* route : busiest) {
    table.add({cut(text_of(at(*route, {"route"}))), short_count(at(*route, {"requests"})),
               short_count(at(*route, {"errors"})), milliseconds(at(*route, {"latency_ms", "p50"})),
               milliseconds(at(*route, {"latency_ms", "p99"})), milliseconds(at(*route, {"latency_ms", "max"}))});
  }
  return table.empty() ? "" : "\n" + table.render();
}

}  // namespace

std::string status_table(const json& status) {
  const json& workers = at(status, {"workers"});
  return server_lines(status) + event_lines(status) + total_lines(at(status, {"totals"})) + socket_line(status) +
         worker_table(workers) + running_table(workers) + exit_table(workers) + route_table(at(status, {"routes"}));
}

bool is_degraded(const json& status) {
  const json& reasons = at(status, {"server", "degraded"});
  return reasons.is_array() && !reasons.empty();
}

}  // namespace pronghorn::server
