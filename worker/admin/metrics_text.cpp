#include "worker/admin/metrics_text.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <vector>

#include "common/ipc/status/fleet.h"
#include "common/text/utf8.h"
#include "common/version.h"

namespace pronghorn {
namespace {

// Upper bounds of the latency buckets in microseconds, the 1-2.5-5 series from 100 µs to 10 s and two for the slow.
constexpr std::array<std::uint64_t, 18> kBounds{100,       250,       500,       1'000,      2'500,      5'000,
                                                10'000,    25'000,    50'000,    100'000,    250'000,    500'000,
                                                1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};

// The format requires all samples of a family to stand together.
class Exposition {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP pronghorn_{} {}\n# TYPE pronghorn_{} {}\n", name, help, name,
                   type);
  }
  // `labels` are already rendered: `slot="0"`, or empty.
  template <class Number>
  void sample(std::string_view labels, Number value, std::string_view suffix = {}) {
    const auto out = std::back_inserter(text_);
    if (labels.empty()) {
      fmt::format_to(out, "pronghorn_{}{} {}\n", name_, suffix, value);
    } else {
      fmt::format_to(out, "pronghorn_{}{}{{{}}} {}\n", name_, suffix, labels, value);
    }
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

// Renders a label. Its value is UTF-8 with backslash, quote and newline escaped.
std::string label(std::string_view name, std::string_view value) {
  std::string text = fmt::format("{}=\"", name);
  while (!value.empty()) {
    const std::size_t length = utf8_sequence(value);
    const char first = value.front();
    if (length == 0) {
      text += "\xEF\xBF\xBD";  // U+FFFD
    } else if (first == '\n') {
      text += "\\n";
    } else {
      if (first == '\\' || first == '"') text += '\\';
      text += value.substr(0, length);
    }
    value.remove_prefix(length == 0 ? 1 : length);
  }
  return text + '"';
}

std::string slot_label(std::uint32_t slot) {
  if (is_job_slot(slot)) return fmt::format("slot=\"jobs{}\"", slot - kFirstJobSlot);
  return fmt::format("slot=\"{}\"", slot);
}

double seconds(std::uint64_t microseconds) noexcept { return static_cast<double>(microseconds) / 1e6; }

// How many of the recorded values are at most `bound`. The bucket that contains the bound counts in proportion, so the
// error is a part of that bucket; the result never decreases while values are added.
template <class H>
std::uint64_t count_up_to(const typename H::Sum& sum, std::uint64_t bound) noexcept {
  std::uint64_t count = 0;
  std::uint64_t lower = 0;
  for (std::size_t i = 0; i < H::kBuckets && lower <= bound; ++i) {
    const std::uint64_t upper = H::upper_edge(i);
    if (upper <= bound) {
      count += sum.counts[i];
    } else {
      count += static_cast<std::uint64_t>(static_cast<double>(sum.counts[i]) * static_cast<double>(bound - lower + 1) /
                                          static_cast<double>(upper - lower + 1));
    }
    lower = upper + 1;
  }
  return count;
}

// The sum of all values, each taken as the middle of its bucket: the histogram does not store the sum.
template <class H>
double estimated_sum(const typename H::Sum& sum) noexcept {
  double total = 0;
  std::uint64_t lower = 0;
  for (std::size_t i = 0; i < H::kBuckets; ++i) {
    const std::uint64_t upper = H::upper_edge(i);
    total += static_cast<double>(sum.counts[i]) * (static_cast<double>(lower) + static_cast<double>(upper)) / 2;
    lower = upper + 1;
  }
  return total / 1e6;
}

// `labels` are rendered, without `le`.
template <class H>
void histogram(Exposition& out, const std::string& labels, const typename H::Sum& sum) {
  const std::string prefix = labels.empty() ? "" : labels + ",";
  for (const std::uint64_t bound : kBounds) {
    out.sample(fmt::format("{}le=\"{}\"", prefix, seconds(bound)), count_up_to<H>(sum, bound), "_bucket");
  }
  out.sample(prefix + "le=\"+Inf\"", sum.total, "_bucket");
  out.sample(labels, estimated_sum<H>(sum), "_sum");
  out.sample(labels, sum.total, "_count");
}

void write_server(Exposition& out, const Scoreboard& board) {
  const ServerRow& server = board.server();
  out.family("info", "gauge", "Always 1; the version is a label.");
  out.sample(label("version", kVersion), 1);
  out.family("uptime_seconds", "gauge", "Time since the supervisor started.");
  const std::uint64_t now = monotonic_ms();
  const std::uint64_t started = server.started_ms.load();
  out.sample({}, started == 0 || started > now ? 0.0 : static_cast<double>(now - started) / 1000.0);
  out.family("generation", "gauge", "Generation of the last rollout that reached every worker.");
  out.sample({}, server.generation.load());
  out.family("draining", "gauge", "1 while the server is stopping.");
  out.sample({}, server.draining.load() != 0 ? 1 : 0);
  out.family("quarantine_entries", "gauge", "Entries of the quarantine: kinds of requests that are refused.");
  out.sample({}, board.quarantine().count.load());
  out.family("redis_up", "gauge", "1 when a ready worker is connected to Redis.");
  out.sample({}, fleet_redis(board).state == RedisState::up ? 1 : 0);
  const std::size_t certificates = std::min<std::size_t>(server.certificates.load(), kMaxCertificateRows);
  if (certificates == 0) return;
  out.family("certificate_not_after_timestamp_seconds", "gauge",
             "When the certificate expires, in seconds since 1970.");
  for (std::size_t i = 0; i < certificates; ++i) {
    const CertificateRow& row = server.certificate_rows[i];
    out.sample(label("file", row.file.get()), row.not_after.load());
  }
}

void write_states(Exposition& out, const Scoreboard& board, const std::vector<SlotSum>& sums) {
  constexpr std::array kStates{SlotState::empty,    SlotState::starting, SlotState::ready,
                               SlotState::draining, SlotState::backoff,  SlotState::stopped};
  std::array<std::uint32_t, kStates.size()> counts{};
  for (const SlotSum& sum : sums) {
    const auto state = static_cast<std::size_t>(board.slot(sum.slot).state.load());
    if (sum.listed && state < counts.size()) ++counts[state];
  }
  out.family("workers", "gauge", "Slots in use, by state of their worker.");
  for (const SlotState state : kStates) {
    out.sample(label("state", to_string(state)), counts[static_cast<std::size_t>(state)]);
  }
}

void write_count(Exposition& out, std::size_t index, const std::string& labels, std::uint64_t value) {
  const std::string_view label = kCounterFacts[index].label;
  const std::string all = labels + (label.empty() ? "" : ",") + std::string(label);
  if (is_time(kCounterFacts[index].kind)) {
    out.sample(all, seconds(value));
  } else {
    out.sample(all, value);
  }
}

// Counters of every slot that was ever used, gauges of those in use, and what the supervisor and the distributor count
// for themselves.
void write_counters(Exposition& out, const Scoreboard& board, const std::vector<SlotSum>& sums) {
  const CounterSums distributor = distributor_counters(board);
  std::size_t next = 0;
  for (std::size_t first = 0; first < kCounts; first = next) {
    const CounterFacts& family = kCounterFacts[first];
    while (next < kCounts && kCounterFacts[next].family == family.family) ++next;
    out.family(family.family, is_gauge(family.kind) ? "gauge" : "counter", family.help);
    for (const SlotSum& sum : sums) {
      if (is_gauge(family.kind) && !sum.listed) continue;
      for (std::size_t i = first; i < next; ++i) write_count(out, i, slot_label(sum.slot), sum.counters.values[i]);
    }
    for (std::size_t i = first; i < next; ++i) {
      const std::uint64_t own = board.server().counters.values[i].load(std::memory_order_relaxed);
      if (own != 0) write_count(out, i, "slot=\"supervisor\"", own);
      if (distributor.values[i] != 0) write_count(out, i, "slot=\"distributor\"", distributor.values[i]);
    }
  }
}

// A gauge of every slot in use: `value(sum, slot row)` if it has a worker, else 0.
template <class Value>
void gauge(Exposition& out, const Scoreboard& board, const std::vector<SlotSum>& sums, std::string_view name,
           std::string_view help, Value&& value) {
  out.family(name, "gauge", help);
  for (const SlotSum& sum : sums) {
    if (!sum.listed) continue;
    out.sample(slot_label(sum.slot), sum.alive ? static_cast<double>(value(sum, board.slot(sum.slot))) : 0.0);
  }
}

void write_gauges(Exposition& out, const Scoreboard& board, const std::vector<SlotSum>& sums) {
  const auto write = [&](std::string_view name, std::string_view help, auto value) {
    gauge(out, board, sums, name, help, value);
  };
  const auto part = [](const Counter& counter, double parts) { return static_cast<double>(counter.load()) / parts; };
  write("worker_up", "1 when the slot's worker is ready.",
        [](const SlotSum&, const SlotRow& slot) { return slot.state.load() == SlotState::ready ? 1 : 0; });
  const auto now = monotonic_ms();
  write("worker_stuck", "1 when the worker's event loop has been blocked for two seconds.",
        [&](const SlotSum& sum, const SlotRow& slot) {
          return stuck_seconds(board.worker(sum.slot, slot.row.load() % kRowsPerSlot), now) > 0 ? 1 : 0;
        });
  write("worker_resident_memory_bytes", "Resident memory of the worker.",
        [](const SlotSum&, const SlotRow& slot) { return slot.rss_bytes.load(); });
  write("worker_cpu_ratio", "Processor time used over the last second; 1 is one core.",
        [&](const SlotSum&, const SlotRow& slot) { return part(slot.cpu_percent_x100, 10'000); });
  write("loop_utilisation_ratio", "Share of the last second that the event loop was busy.",
        [&](const SlotSum&, const SlotRow& slot) { return part(slot.loop_utilisation_x10000, 10'000); });
  write("worker_redis_up", "1 when the worker is connected to Redis.",
        [](const SlotSum& sum, const SlotRow&) { return sum.redis_state == RedisState::up ? 1 : 0; });
}

void write_latency(Exposition& out, const Scoreboard& board, const std::vector<SlotSum>& sums) {
  out.family("request_duration_seconds", "histogram",
             "From the end of the head to the whole response handed to the socket. The sum is an estimate.");
  histogram<LatencyHistogram>(out, {}, sum_all(board, sums).latency);
}

void write_routes(Exposition& out, const std::vector<RouteSum>& routes) {
  out.family("route_requests_total", "counter", "Requests answered, by route.");
  for (const RouteSum& route : routes) out.sample(label("route", route.route), route.requests);
  out.family("route_errors_total", "counter", "Responses with a 5xx status, by route.");
  for (const RouteSum& route : routes) out.sample(label("route", route.route), route.errors);
  out.family("route_request_duration_seconds", "histogram", "Like request_duration_seconds, by route.");
  for (const RouteSum& route : routes) histogram<RouteHistogram>(out, label("route", route.route), route.latency);
}

// Of routes of WebSockets.
void write_sockets(Exposition& out, const std::vector<RouteSum>& routes) {
  const auto write = [&](std::string_view name, std::string_view type, std::string_view help, auto sample) {
    out.family(name, type, help);
    for (const RouteSum& route : routes) {
      if (route.sockets) sample(label("route", route.route), *route.sockets);
    }
  };
  const auto one = [&out](std::uint64_t SocketSum::* member) {
    return [&out, member](const std::string& labels, const SocketSum& sum) { out.sample(labels, sum.*member); };
  };
  const auto both = [&out](std::uint64_t SocketSum::* in, std::uint64_t SocketSum::* sent) {
    return [&out, in, sent](const std::string& labels, const SocketSum& sum) {
      out.sample(labels + ",direction=\"received\"", sum.*in);
      out.sample(labels + ",direction=\"sent\"", sum.*sent);
    };
  };
  write("route_websockets", "gauge", "WebSockets open now, by route.", one(&SocketSum::open));
  write("route_websocket_messages_total", "counter", "Messages of WebSockets, by route and direction.",
        both(&SocketSum::messages_in, &SocketSum::messages_out));
  write("route_websocket_bytes_total", "counter", "Bytes of WebSockets, by route and direction.",
        both(&SocketSum::bytes_in, &SocketSum::bytes_out));
  write("route_websocket_queued_bytes", "gauge", "Bytes that wait for clients of WebSockets, by route.",
        one(&SocketSum::queued));
  write("route_websocket_skipped_total", "counter", "Events that slow clients of WebSockets did not get, by route.",
        one(&SocketSum::skipped));
}

}  // namespace

std::string prometheus_metrics(const Scoreboard& board) {
  const std::vector<SlotSum> sums = sum_slots(board);
  Exposition out;
  write_server(out, board);
  write_states(out, board, sums);
  std::vector<SlotSum> all = sums;
  for (SlotSum& jobs : sum_job_slots(board)) all.push_back(std::move(jobs));
  write_counters(out, board, all);
  write_gauges(out, board, all);
  write_latency(out, board, sums);
  const std::vector<RouteSum> routes = sum_routes(board);
  write_routes(out, routes);
  write_sockets(out, routes);
  return out.take();
}

}  // namespace pronghorn
