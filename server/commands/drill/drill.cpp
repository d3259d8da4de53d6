#include "server/commands/drill/drill.h"

#include <fmt/format.h>
#include <netdb.h>
#include <signal.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "common/text/json_text.h"
#include "server/commands/control_client.h"
#include "server/options/values/values.h"
#include "supervisor/listen/address.h"

namespace pronghorn::server {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kBefore{1};  // of load, to warm up
constexpr std::chrono::seconds kAfter{1};
constexpr std::chrono::seconds kPatience{120};  // worker_timeout is 30 s, and a start may take a minute

struct Victim {
  std::int64_t slot = 0;
  pid_t pid = 0;
};

struct Repair {
  Victim successor;
  std::chrono::microseconds took;
};

int signal_of(const std::string& how) {
  if (how == "kill") return SIGKILL;
  if (how == "segv") return SIGSEGV;
  if (how == "stall") return SIGSTOP;
  throw UsageError(fmt::format("drill: {} is not a kind of failure; use kill, segv or stall", in_quotes(how)));
}

DrillTarget unix_target(const std::string& path) {
  DrillTarget target;
  auto& address = reinterpret_cast<sockaddr_un&>(target.address);
  if (path.size() >= sizeof address.sun_path) throw ControlError("the path of the Unix socket is too long");
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.starts_with('@')) address.sun_path[0] = '\0';
  target.address_size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  return target;
}

// An address without a host is every interface, so the loopback address reaches it.
DrillTarget inet_target(const supervisor::Address& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string host = address.host.empty() ? "127.0.0.1" : address.host;
  if (const int error = ::getaddrinfo(host.c_str(), std::to_string(address.port).c_str(), &hints, &found); error != 0) {
    throw ControlError(fmt::format("cannot find {}: {}", host, ::gai_strerror(error)));
  }
  DrillTarget target;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  target.address_size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return target;
}

// Its clients do not speak TLS.
std::string plain_address(const json& status) {
  for (const json& address : status.at("server").at("listen")) {
    auto text = address.get<std::string>();
    if (!text.starts_with("https://")) return text;
  }
  throw ControlError(
      "every address of the server is https, and drill needs one without TLS; add 127.0.0.1:0 to listen");
}

DrillTarget target_of(const std::string& text, const std::string& path) {
  const auto address = supervisor::parse_address(text);
  if (!address) throw ControlError(fmt::format("the server listens on {}, which is not an address", in_quotes(text)));
  DrillTarget target = address->is_unix ? unix_target(address->path) : inet_target(*address);
  target.request =
      fmt::format("HEAD {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pronghorn-drill\r\nAccept: */*\r\n\r\n", path);
  return target;
}

std::optional<Victim> ready_worker(const json& status, std::optional<std::int64_t> slot = std::nullopt) {
  for (const json& worker : status.at("workers")) {
    const Victim found{worker.at("slot").get<std::int64_t>(), worker.at("pid").get<pid_t>()};
    if (worker.at("state") == "ready" && found.pid > 0 && (!slot || *slot == found.slot)) return found;
  }
  return std::nullopt;
}

volatile std::sig_atomic_t interrupted = 0;

// Lets a stopped worker continue if the drill ends for any reason before the watchdog has killed the worker.
class Stopped {
 public:
  explicit Stopped(pid_t pid) noexcept : pid_(pid) {  // 0: none
    if (pid == 0) return;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, [](int) { interrupted = 1; });
  }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped() { go_on(); }
  void is_gone() noexcept { pid_ = 0; }
  void go_on() noexcept {
    if (pid_ != 0) ::kill(pid_, SIGCONT);
    pid_ = 0;
  }

 private:
  pid_t pid_;
};

std::optional<Repair> wait_repaired(const std::string& control, const Victim& victim) {
  const auto began = Clock::now();
  while (Clock::now() - began < kPatience && interrupted == 0) {
    const auto worker = ready_worker(ask_status(control), victim.slot);
    if (worker && worker->pid != victim.pid) {
      return Repair{*worker, std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began)};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return std::nullopt;
}

// What the server says it has done for clients of dead workers since it started.
struct Survival {
  std::int64_t handed_over = 0;  // connections
  std::int64_t run_again = 0;    // requests
  std::string last;              // the same and more, of the last worker

  static Survival of(const json& status, std::int64_t slot) {
    const json& totals = status.at("totals");
    Survival survival{totals.at("connections_handed_over").at("death").get<std::int64_t>(),
                      totals.at("requests_replayed").get<std::int64_t>(), ""};
    for (const json& worker : status.at("workers")) {
      if (worker.at("slot") == slot && worker.at("last_exit").is_object()) {
        survival.last = worker.at("last_exit").value("connections", "");
      }
    }
    return survival;
  }
  [[nodiscard]] Survival since(const Survival& before) const {
    return {handed_over - before.handed_over, run_again - before.run_again, last};
  }
};

double ms(std::uint64_t microseconds) { return static_cast<double>(microseconds) / 1e3; }

void print_json(const Drill& drill, const Victim& victim, const std::optional<Repair>& repair, const Survival& survival,
                const DrillResults& results) {
  json report{{"drill", drill.how},
              {"slot", victim.slot},
              {"pid", victim.pid},
              {"requests", {{"sent", results.sent}, {"answered", results.answered}, {"late", results.late}}},
              {"lost",
               {{"total", results.lost()},
                {"closed", results.closed},
                {"refused", results.refused},
                {"timed_out", results.timed_out}}},
              {"responses_5xx", results.errors},
              {"latency_ms",
               {{"p50", ms(results.latency.percentile(0.5))},
                {"p99", ms(results.latency.percentile(0.99))},
                {"max", ms(results.latency.max)}}},
              {"connections_handed_over", survival.handed_over},
              {"requests_run_again", survival.run_again},
              {"survival", survival.last},
              {"repaired_in_ms", nullptr},
              {"new_pid", nullptr}};
  if (repair) {
    report["repaired_in_ms"] = static_cast<double>(repair->took.count()) / 1e3;
    report["new_pid"] = repair->successor.pid;
  }
  fmt::print("{}\n", dump_json(report, 2));
}

void print_table(const std::optional<Repair>& repair, const Survival& survival, const DrillResults& results) {
  fmt::print("requests  {} sent, {} answered ({} with 5xx), {} lost\n", results.sent, results.answered, results.errors,
             results.lost());
  fmt::print("lost      {} closed before the answer, {} not connected, {} not answered within {} s\n", results.closed,
             results.refused, results.timed_out, DrillLoad::kPatience.count());
  fmt::print("survival  {}\n", survival.last.empty() ? "no connection was on the worker" : survival.last);
  fmt::print("latency   p50 {:.2f} ms, p99 {:.2f} ms, longest {:.2f} ms\n", ms(results.latency.percentile(0.5)),
             ms(results.latency.percentile(0.99)), ms(results.latency.max));
  if (results.late > 0) {
    fmt::print("late      {} requests were not sent: every kept connection waited for an answer\n", results.late);
  }
  if (repair) {
    fmt::print("repair    worker {} is ready again after {:.1f} ms, pid {}\n", repair->successor.slot,
               static_cast<double>(repair->took.count()) / 1e3, repair->successor.pid);
  } else {
    fmt::print("repair    no worker was ready again {}\n",
               interrupted != 0 ? std::string("before the end") : fmt::format("within {} s", kPatience.count()));
  }
}

}  // namespace

int run_drill(const std::string& control, const Drill& drill) {
  const int number = signal_of(drill.how);
  if (!drill.path.starts_with('/') ||
      std::ranges::any_of(drill.path, [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
    throw UsageError(
        fmt::format("drill: --path {}: use a path that begins with '/' and has no blanks", in_quotes(drill.path)));
  }
  const json status = ask_status(control);
  const auto victim = ready_worker(status);
  if (!victim) throw ControlError("no worker is ready; see \"pronghorn status\"");
  const std::string listen = plain_address(status);
  if (!drill.json) {
    fmt::print("drill {}: worker {} (pid {}) of {}, HEAD {} {} times a second, {} kept connections and new ones\n",
               drill.how, victim->slot, victim->pid, listen, drill.path, drill.plan.rate, drill.plan.kept);
    std::fflush(stdout);
  }
  DrillLoad load(target_of(listen, drill.path), drill.plan);
  load.start();
  std::this_thread::sleep_for(kBefore);
  if (::kill(victim->pid, number) != 0) {
    throw ControlError(
        fmt::format("cannot signal worker {} (pid {}): {}; run the drill as the user of the server, or as root",
                    victim->slot, victim->pid, std::strerror(errno)));
  }
  Stopped stopped(number == SIGSTOP ? victim->pid : 0);
  const auto repair = wait_repaired(control, *victim);
  if (repair) stopped.is_gone();
  stopped.go_on();
  std::this_thread::sleep_for(kAfter);
  const DrillResults results = load.stop();
  const Survival survival = Survival::of(ask_status(control), victim->slot).since(Survival::of(status, victim->slot));
  drill.json ? print_json(drill, *victim, repair, survival, results) : print_table(repair, survival, results);
  return repair ? 0 : 1;
}

}  // namespace pronghorn::server
