#include "server/commands/status/status_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/text/json_text.h"
#include "common/text/utf8.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

using nlohmann::json;

constexpr std::size_t kBusiestRoutes = 10;
constexpr std::size_t kLongestText = 60;

// The member at a path of names; null if there is none.
const json& at(const json& value, std::initializer_list<const char*> path) {
  static const json kNothing;
  const json* found = &value;
  for (const char* name : path) {
    const auto member = found->is_object() ? found->find(name) : found->end();
    if (!found->is_object() || member == found->end()) return kNothing;
    found = &*member;
  }
  return *found;
}

double number_of(const json& value) { return value.is_number() ? value.get<double>() : 0; }

std::string text_of(const json& value) {
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) return printable(value.get<std::string>());
  if (value.is_number_float()) return fmt::format("{:.1f}", value.get<double>());
  if (value.is_number()) return dump_json(value);
  return "-";
}

// A count, with a unit if it is long: 950, 12.3k, 4.5M.
std::string short_count(const json& value) {
  if (!value.is_number()) return "-";
  const double number = number_of(value);
  if (number < 10'000) return fmt::format("{:.0f}", number);
  if (number < 10'000'000) return fmt::format("{:.1f}k", number / 1e3);
  return fmt::format("{:.1f}M", number / 1e6);
}

std::string rate(const json& value) {
  if (!value.is_number()) return "-";
  const double number = number_of(value);
  return number < 100 ? fmt::format("{:.1f}", number) : short_count(value);
}

std::string bytes(const json& value) {
  if (!value.is_number()) return "-";
  const double number = number_of(value);
  if (number < 1024) return fmt::format("{:.0f}B", number);
  if (number < 1024.0 * 1024) return fmt::format("{:.1f}K", number / 1024);
  if (number < 1024.0 * 1024 * 1024) return fmt::format("{:.1f}M", number / 1024 / 1024);
  return fmt::format("{:.1f}G", number / 1024 / 1024 / 1024);
}

std::string uptime(const json& value) {
  if (!value.is_number()) return "-";
  const auto seconds = static_cast<long long>(number_of(value));
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86'400, seconds / 3600 % 24);
}

std::string milliseconds(const json& value) {
  if (!value.is_number()) return "-";
  const double number = number_of(value);
  return number < 10 ? fmt::format("{:.2f}", number) : fmt::format("{:.0f}", number);
}

std::string percent(double share) { return fmt::format("{:.0f}%", share); }

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string cut(std::string text) {
  if (columns(text) <= kLongestText) return text;
  std::size_t end = 0;
  for (std::size_t column = 0; column + 1 < kLongestText; ++column) {
    end += std::max<std::size_t>(1, utf8_sequence(std::string_view(text).substr(end)));
  }
  return text.substr(0, end) + "…";
}

// Aligns columns. The first row is the heading; a column is text if its heading begins with '<', else numbers.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] bool empty() const { return rows_.size() == 1; }

  [[nodiscard]] std::string render() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], columns(cell(row, i)));
    }
    std::string out;
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      std::string line;
      for (std::size_t i = 0; i < widths.size(); ++i) {
        const std::string padding(widths[i] - columns(cell(row, i)), ' ');
        line += "  " + (is_text(i) ? cell(row, i) + padding : padding + cell(row, i));
      }
      out += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
    }
    return out;
  }

 private:
  [[nodiscard]] bool is_text(std::size_t column) const { return rows_.front()[column].starts_with('<'); }
  [[nodiscard]] std::string cell(std::size_t row, std::size_t column) const {
    return row == 0 && is_text(column) ? rows_[0][column].substr(1) : rows_[row][column];
  }
  std::vector<std::vector<std::string>> rows_;
};

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
    line += fmt::format("; last exit {}: {}", text_of(at(exit, {"at"})), cut(text_of(at(exit, {"reason"}))));
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
    table.add({text_of(at(worker, {"slot"})), text_of(at(last, {"at"})), cut(text_of(at(last, {"reason"}))),
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

// The WebSockets that `pronghorn requests` lists.
std::string socket_table(const json& answer) {
  Table table({"slot", "age", "queued", "<socket", "<client", "<id", "<topics"});
  for (const json& socket : at(answer, {"requests"})) {
    if (at(socket, {"state"}) != "socket") continue;
    std::string topics;
    for (const json& topic : at(socket, {"topics"})) topics += (topics.empty() ? "" : " ") + text_of(topic);
    const double more = number_of(at(socket, {"topic_count"})) - static_cast<double>(at(socket, {"topics"}).size());
    std::string shown = cut(topics);
    if (more > 0) shown += fmt::format(" +{:.0f}", more);
    table.add({text_of(at(socket, {"slot"})), fmt::format("{:.1f}s", number_of(at(socket, {"age_ms"})) / 1000),
               bytes(at(socket, {"queued_bytes"})), cut(text_of(at(socket, {"route"}))),
               text_of(at(socket, {"client"})), text_of(at(socket, {"id"})), shown});
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

std::string requests_table(const json& answer) {
  Table table({"slot", "age", "<state", "<request", "<route", "<client", "<id"});
  for (const json& request : at(answer, {"requests"})) {
    if (at(request, {"state"}) == "socket") continue;
    table.add({text_of(at(request, {"slot"})), fmt::format("{:.1f}s", number_of(at(request, {"age_ms"})) / 1000),
               text_of(at(request, {"state"})), cut(text_of(at(request, {"request"}))),
               cut(text_of(at(request, {"route"}))), text_of(at(request, {"client"})),
               cut(text_of(at(request, {"id"})))});
  }
  std::string out = table.empty() ? "no requests are in flight\n" : table.render();
  for (const json& request : at(answer, {"requests"})) {
    if (at(request, {"blocked_ms"}).is_null()) continue;
    const double waiting = number_of(at(request, {"waiting"}));
    out += fmt::format("slot {} has been blocked for {:.1f}s: {:.0f} more {} in it, {} connections\n",
                       text_of(at(request, {"slot"})), number_of(at(request, {"blocked_ms"})) / 1000, waiting,
                       waiting == 1 ? "request waits" : "requests wait", text_of(at(request, {"connections"})));
  }
  return out + socket_table(answer);
}

std::string jobs_view(const std::string& action, const json& answer) {
  const json& rows = at(answer, {"answer"});
  if (action == "retry" || action == "drop") {
    const std::string changed = rows.empty() ? "0" : text_of(at(rows.front(), {"changed"}));
    return fmt::format("{} {}\n", changed, action == "drop" ? "dropped" : "will run again");
  }
  if (action == "show") {
    std::string out;
    for (const json& row : rows) {
      for (const auto& [name, value] : row.items()) {
        const std::string text = value.is_array() ? dump_json(value) : text_of(value);
        if (text != "-") out += fmt::format("{:<14} {}\n", name, text);
      }
    }
    return out;
  }
  if (action == "list") {
    Table jobs({"<id", "<state", "attempts", "failures", "kills", "<enqueued", "<reason"});
    for (const json& row : rows) {
      jobs.add({text_of(at(row, {"id"})), text_of(at(row, {"state"})), text_of(at(row, {"attempts"})),
                text_of(at(row, {"failures"})), text_of(at(row, {"kills"})), text_of(at(row, {"enqueued"})),
                cut(text_of(at(row, {"reason"})))});
    }
    return jobs.empty() ? "no jobs are in this state\n" : jobs.render();
  }
  Table names({"<name", "waiting", "running", "done", "failed", "dead"});
  for (const json& row : rows) {
    names.add({text_of(at(row, {"name"})), text_of(at(row, {"waiting"})), text_of(at(row, {"running"})),
               text_of(at(row, {"done"})), text_of(at(row, {"failed"})), text_of(at(row, {"dead"}))});
  }
  return names.empty() ? "no jobs have been enqueued\n" : names.render();
}

std::string quarantine_table(const json& answer) {
  Table table({"<id", "<method", "<route", "<shape", "<since", "<until", "kills", "refused", "<where"});
  for (const json& entry : at(answer, {"quarantine"})) {
    const json& shared = at(entry, {"shared"});
    table.add({text_of(at(entry, {"id"})), text_of(at(entry, {"method"})), text_of(at(entry, {"route"})),
               cut(text_of(at(entry, {"shape"}))), text_of(at(entry, {"since"})), text_of(at(entry, {"until"})),
               text_of(at(entry, {"kills"})), text_of(at(entry, {"refused"})),
               shared.is_boolean() && shared.get<bool>() ? "all machines" : "this machine"});
  }
  return table.empty() ? "no requests are quarantined\n" : table.render();
}

}  // namespace pronghorn::server
