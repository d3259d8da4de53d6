#include "server/options/options.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>
#include <utility>

#include "server/options/option_kinds.h"

namespace pronghorn::server {
namespace {

using namespace kinds;
using namespace std::chrono_literals;

constexpr std::string_view kServing = "Serving";
constexpr std::string_view kProxies = "Behind a proxy";
constexpr std::string_view kProcesses = "Processes";
constexpr std::string_view kState = "Redis and sessions";
constexpr std::string_view kLogging = "Logs";
constexpr std::string_view kEndpoints = "The server's own endpoints";
constexpr std::string_view kFiles = "Files";
constexpr std::string_view kHttp = "HTTP limits and timeouts (a duration or count of 0: none)";

std::vector<Option> make_options() {
  constexpr std::uint64_t kAny = std::numeric_limits<std::uint32_t>::max();
  std::vector<Option> table{
      list({"listen", kServing,
            "An address to serve: 127.0.0.1:8080, [::1]:8080, :8080 (every interface) or unix:PATH. May be repeated. "
            "PORT=N means 0.0.0.0:N.",
            "PORT"},
           "ADDR", &Config::listen, check_address),
      workers({"workers", kServing,
               "Worker processes: auto (the usable cores: CPU affinity and cgroup quota), a number, or MIN..MAX.",
               "WEB_CONCURRENCY"}),
      balance({"balance", kServing,
               "How connections reach workers: reuseport, shared, round-robin, least-connections, random, "
               "least-response-time, ip-hash or cookie-hash."}),
      count({"backlog", kServing, "Connections that may wait in the accept queue of each listener."}, &Config::backlog,
            {1, 65'535}),
      truth({"ipv6_only", kServing,
             "Whether [::]:PORT leaves IPv4 alone, so that 0.0.0.0:PORT can stand beside it. :PORT takes both anyway."},
            &Config::ipv6_only),
      file_mode({"unix_mode", kServing, "Mode of the files of Unix sockets, in octal such as 0660, or umask."},
                &Config::unix_mode),
      text_or_off({"unix_owner", kServing, "Owner of the same: USER, USER:GROUP or :GROUP. off: who runs the server."},
                  "USER:GROUP", &Config::unix_owner, check_owner),
      text({"name", kServing, "Prefix of every key in Redis. Servers that share sessions have the same name."}, "NAME",
           &Config::name, check_name),
      count({"offload_threads", kServing, "Threads per worker for blocking work that handlers offload."},
            &Config::offload_threads, {1, 1'024}),

      list({"proxy_protocol", kProxies,
            "Networks (or unix) whose connections must begin with a PROXY header, version 1 or 2. May be repeated."},
           "NET", &Config::proxy_protocol, check_peers),
      list({"trusted_proxies", kProxies, "Networks (or unix) whose forwarding fields are believed. May be repeated."},
           "NET", &Config::trusted_proxies, check_peers),
      choice({"forwarding_fields", kProxies,
              "The fields that trusted proxies set: x-forwarded-for (with -proto and -host) or forwarded. A request "
              "that has both kinds is not believed."},
             &Config::forwarding_fields, {"x-forwarded-for", "forwarded"}),

      duration(
          {"drain_delay", kProcesses,
           "When stopping: how long to keep serving with /ready answering 503, so that a load balancer looks away."},
          &Config::drain_delay),
      duration({"drain_timeout", kProcesses,
                "How long requests in flight may take when a worker leaves; then they are cut."},
               &Config::drain_timeout),
      duration({"worker_timeout", kProcesses, "A worker whose loop stands still for so long is killed and replaced."},
               &Config::worker_timeout, 100ms),
      duration(
          {"stall_threshold", kProcesses,
           "A loop that stands still for so long is counted, and logged with its stack at most every 10s; 0: none."},
          &Config::stall_threshold),
      duration({"boot_timeout", kProcesses, "How long a worker may take from its start until it is ready."},
               &Config::boot_timeout, 100ms),
      count({"recycle_requests", kProcesses, "A worker that has answered so many requests is replaced; 0: never."},
            &Config::recycle_requests, {0, kAny}),
      duration({"recycle_age", kProcesses, "A worker this old is replaced; 0: never."}, &Config::recycle_age),
      size({"recycle_memory", kProcesses, "A worker with more resident memory is replaced; 0: never."},
           &Config::recycle_memory, {0, 1ULL << 50}),
      duration({"quarantine_time", kProcesses,
                "A request that has killed two workers within a minute is refused for so long, by all workers; 0: "
                "never."},
               &Config::quarantine_time),
      duration({"canary", kProcesses,
                "How long a rollout watches its first new worker before it replaces the others; one that is worse is "
                "rolled back. 0: not."},
               &Config::canary),

      redis({"redis", kState,
             "embedded (a private redis-server of our own), none, redis://[user:password@]host:port/database or "
             "unix:PATH.",
             "REDIS_URL"}),
      duration({"redis_timeout", kState, "Deadline of a command to Redis and of an attempt to connect."},
               &Config::redis_timeout, 1ms),
      text({"redis_server", kState, "The program that embedded runs."}, "PROGRAM", &Config::redis_server, accept_path),
      size(
          {"redis_memory", kState,
           "Memory for the data of the embedded Redis; when it is full, what expires soonest is evicted; 0: no limit."},
          &Config::redis_memory, {0, 1ULL << 50}),
      text({"session_cookie", kState, "Name of the session cookie."}, "NAME", &Config::session_cookie,
           check_cookie_name),
      duration({"session_ttl", kState, "Sessions idle longer than this expire."}, &Config::session_ttl, 1s),
      duration({"session_first_ttl", kState,
                "A new session expires after this time unless its cookie comes back; then session_ttl applies."},
               &Config::session_first_ttl, 1s),

      choice({"log_format", kLogging, "text or json."}, &Config::log_format, {"text", "json"}),
      choice({"log_level", kLogging, "The least important lines to write: debug, info, warning or error."},
             &Config::log_level, {"debug", "info", "warning", "error"}),
      text({"log_file", kLogging, "Where the log goes: a file, or - for standard error."}, "-|FILE", &Config::log_file,
           accept_path),
      text({"access_log", kLogging, "One line a request: to a file, to - (standard output), or off."}, "-|off|FILE",
           &Config::access_log, accept_path),

      text_or_off({"admin", kEndpoints,
                   "Address of a process that serves only the endpoints below, even when every worker is wedged."},
                  "ADDR|off", &Config::admin, check_address),
      list({"admin_networks", kEndpoints,
            "Who may see these endpoints; others get the application's 404. Networks such as 10.0.0.0/8. May be "
            "repeated."},
           "NET", &Config::admin_networks, check_network),
      text_or_off({"health_path", kEndpoints, "Alive?"}, "PATH|off", &Config::health_path, check_endpoint),
      text_or_off({"ready_path", kEndpoints, "May it get traffic? 503 while it starts, drains, or Redis is away."},
                  "PATH|off", &Config::ready_path, check_endpoint),
      text_or_off({"status_path", kEndpoints, "How all workers are: JSON, or a page for a browser."}, "PATH|off",
                  &Config::status_path, check_endpoint),
      text_or_off({"metrics_path", kEndpoints, "The same for Prometheus."}, "PATH|off", &Config::metrics_path,
                  check_endpoint),

      text({"control", kFiles, "Socket for status, scale, reload, rollback and stop."}, "PATH", &Config::control,
           accept_path),
      text({"runtime_dir", kFiles, "Directory for sockets; made with mode 0700."}, "DIR", &Config::runtime_dir,
           accept_path),
      text({"data_dir", kFiles,
            "Directory for what outlives the server: the data of the embedded Redis, crash reports."},
           "DIR", &Config::data_dir, accept_path),

      size({"max_request_line", kHttp, "Longest request line; 414 above."}, &HttpLimits::max_request_line,
           {64, 1 << 20}),
      size({"max_header_bytes", kHttp, "All header fields of a request together; 431 above."},
           &HttpLimits::max_header_bytes, {256, 16 << 20}),
      count({"max_header_fields", kHttp, "Number of header fields of a request; 431 above."},
            &HttpLimits::max_header_fields, {1, 128}),
      size({"max_body", kHttp, "Largest request body, unless the route says otherwise; 413 above."},
           &HttpLimits::max_body, {0, 1ULL << 50}),
      duration({"header_timeout", kHttp, "From the first byte of a request to the end of its head; 408."},
               &HttpLimits::header_timeout),
      duration({"body_timeout", kHttp, "Between two reads of a request body; 408."}, &HttpLimits::body_timeout),
      size({"min_receive_rate", kHttp,
            "Bytes per second that a head or body must come at, over five seconds; 408 below."},
           &HttpLimits::min_receive_rate, {0, 1ULL << 30}),
      duration({"write_timeout", kHttp, "A client that takes nothing of a response for so long is cut."},
               &HttpLimits::write_timeout),
      duration({"keep_alive_timeout", kHttp, "A connection without a request for so long is closed."},
               &HttpLimits::keep_alive_timeout),
      count({"keep_alive_requests", kHttp, "Requests on one connection; then it is closed."},
            &HttpLimits::keep_alive_requests, {0, kAny}),
      duration({"keep_alive_age", kHttp, "A connection this old ends with its next response."},
               &HttpLimits::keep_alive_age),
      duration({"request_timeout", kHttp,
                "A handler's time until its response begins, unless the route says otherwise; 504."},
               &HttpLimits::request_timeout),
      count({"max_connections", kHttp,
             "Open connections per worker; 503 above, and far above they wait in the accept queue."},
            &HttpLimits::max_connections, {0, kAny}),
      count({"max_in_flight", kHttp, "Requests being handled per worker; 503 above."}, &HttpLimits::max_in_flight,
            {0, kAny}),
      size({"max_queued_output", kHttp, "What a client may leave unread before its next request has to wait."},
           &HttpLimits::max_queued_output, {0, 1ULL << 40}),
  };
  // What depends on the machine or on another option; see server/options/machine.h.
  const std::map<std::string_view, const char*> defaults{
      {"workers", "auto"},
      {"name", "file name of the application"},
      {"drain_delay", "5s under systemd or Kubernetes, else 0"},
      {"control", "control.sock in runtime_dir"},
      {"runtime_dir", "$XDG_RUNTIME_DIR/pronghorn, or /run/pronghorn for root, or /tmp/pronghorn-UID"},
      {"data_dir", "$STATE_DIRECTORY, or /var/lib/pronghorn for root, or ~/.local/state/pronghorn"},
  };
  for (Option& option : table) {
    if (const auto shown = defaults.find(option.name); shown != defaults.end()) option.default_text = shown->second;
  }
  return table;
}

std::string respelled(std::string_view prefix, std::string_view name, char underscore, bool upper) {
  std::string out(prefix);
  for (const char c : name) {
    out += c == '_' ? underscore : upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
  }
  return out;
}

}  // namespace

std::string Option::flag() const { return respelled("--", name, '-', false); }
std::string Option::variable() const { return respelled("PRONGHORN_", name, '_', true); }

const std::vector<Option>& options() {
  static const std::vector<Option> table = make_options();
  return table;
}

const Option* find_option(std::string_view name) {
  const auto& table = options();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Option& option) { return option.name == name; });
  return found == table.end() ? nullptr : &*found;
}

std::vector<std::string> option_names() {
  std::vector<std::string> names;
  for (const Option& option : options()) names.push_back(option.name);
  return names;
}

}  // namespace pronghorn::server
