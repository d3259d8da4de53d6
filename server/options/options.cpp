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

// What Redis needs itself, with the connections of a hundred workers: below that it would refuse every write.
constexpr std::uint64_t kLeastRedisMemory = 8ULL << 20;

constexpr std::string_view kServing = "Serving";
constexpr std::string_view kTls = "TLS";
constexpr std::string_view kProxies = "Behind a proxy";
constexpr std::string_view kProcesses = "Processes";
constexpr std::string_view kState = "Redis and sessions";
constexpr std::string_view kLogging = "Logs";
constexpr std::string_view kEndpoints = "The server's own endpoints";
constexpr std::string_view kFiles = "Files";
constexpr std::string_view kHttp = "HTTP limits and timeouts (0, where it is allowed: no limit)";

std::vector<Option> make_options() {
  constexpr std::uint64_t kAny = std::numeric_limits<std::uint32_t>::max();
  std::vector<Option> table{
      list({"listen", kServing,
            "Address to serve: 127.0.0.1:8080, [::1]:8080, :8080 (every interface) or unix:PATH; with https:// before "
            "it, such as https://:443, with TLS. May be repeated. PORT=N means 0.0.0.0:N.",
            "PORT"},
           "ADDR", &Config::listen, check_listen),
      workers({"workers", kServing,
               "Worker processes: auto (the usable cores: CPU affinity and cgroup quota), a number, or MIN..MAX.",
               "WEB_CONCURRENCY"}),
      count({"job_workers", kServing,
             "Worker processes that only run jobs; the others then run none. 0: jobs run in the workers that serve "
             "requests."},
            &Config::job_workers, {0, 64}),
      balance({"balance", kServing,
               "How connections reach workers: reuseport, shared, round-robin, least-connections, random, "
               "least-response-time, ip-hash or cookie-hash."}),
      count({"backlog", kServing,
             "Length of the accept queue of each listener. Raise it, and net.core.somaxconn, if bursts of connections "
             "are refused."},
            &Config::backlog, {1, 65'535}),
      truth({"http2", kServing, "Whether clients over TLS are offered HTTP/2 beside HTTP/1.1 (ALPN)."}, &Config::http2),
      truth({"http2_cleartext", kServing,
             "Whether clients may speak HTTP/2 without TLS, by prior knowledge. Turn it on for a proxy that does."},
            &Config::http2_cleartext),
      truth({"ipv6_only", kServing,
             "Whether [::]:PORT leaves IPv4 to a socket of its own, 0.0.0.0:PORT. :PORT accepts both in any case."},
            &Config::ipv6_only),
      file_mode({"unix_mode", kServing, "Mode of Unix socket files, in octal such as 0660, or umask."},
                &Config::unix_mode),
      text_or_off({"unix_owner", kServing,
                   "Owner of Unix socket files: USER, USER:GROUP or :GROUP. off: the user that runs the server."},
                  "USER:GROUP", &Config::unix_owner, check_owner),
      text_or_off({"user", kServing,
                   "User that runs the server when root starts it. Workers and Redis have no capabilities in any case. "
                   "off: root."},
                  "USER", &Config::user, accept_path),
      text_or_off({"group", kServing, "Group that runs the server when root starts it. off: the group of user."},
                  "GROUP", &Config::group, accept_path),
      text(
          {"name", kServing,
           "Prefix of every key in Redis. Servers that share sessions must have the same name, others different ones."},
          "NAME", &Config::name, check_name),
      count({"offload_threads", kServing, "Threads per worker for blocking work that handlers offload."},
            &Config::offload_threads, {1, 1'024}),

      list({"tls_certificate", kTls,
            "PEM file with a certificate and its chain, for the https:// addresses of listen. May be repeated: clients "
            "get the one for the name they ask for, or the first. Read again at each reload. FILE.ocsp beside it is "
            "stapled."},
           "FILE", &Config::tls_certificate, accept_path),
      list({"tls_key", kTls,
            "PEM file with the private key of a certificate; may be repeated, in the order of the certificates. "
            "Not needed for a certificate whose file holds its key."},
           "FILE", &Config::tls_key, accept_path),
      text_or_off(
          {"tls_client_ca", kTls, "PEM file with the authorities whose client certificates are accepted. off: none."},
          "FILE|off", &Config::tls_client_ca, accept_path),
      choice({"tls_client_certificates", kTls,
              "Whether clients present a certificate: off (they are not asked), optional or required (a handshake "
              "without one fails). Needs tls_client_ca."},
             &Config::tls_client_certificates, {"off", "optional", "required"}),
      truth({"kernel_tls", kTls,
             "Whether the kernel encrypts, if it can, so that TLS connections survive their worker. Turn it off to "
             "rule the kernel out when clients report errors of TLS."},
            &Config::kernel_tls),
      truth({"redirect_http", kTls,
             "Whether requests on plain TCP addresses are redirected to https:// with 308; except ACME's "
             "/.well-known/acme-challenge/ and the server's own endpoints."},
            &Config::redirect_http),

      list({"proxy_protocol", kProxies,
            "Networks (or unix) whose connections must begin with a PROXY header, version 1 or 2. May be repeated."},
           "NET", &Config::proxy_protocol, check_peers),
      list({"trusted_proxies", kProxies, "Networks (or unix) whose forwarding fields are believed. May be repeated."},
           "NET", &Config::trusted_proxies, check_peers),
      choice({"forwarding_fields", kProxies,
              "The fields that trusted proxies set: x-forwarded-for (with -proto and -host) or forwarded. In a "
              "request that has both kinds, none is believed."},
             &Config::forwarding_fields, {"x-forwarded-for", "forwarded"}),
      truth({"early_hints", kProxies,
             "Whether request.early_hints() sends 103 responses. Turn it on only if the proxy passes them on; some "
             "proxies delay the response."},
            &Config::early_hints),

      duration(
          {"drain_delay", kProcesses,
           "How long a stopping server keeps serving with /ready answering 503, so that load balancers stop sending."},
          &Config::drain_delay),
      duration({"drain_timeout", kProcesses,
                "How long a draining worker waits for requests in flight before it closes their connections."},
               &Config::drain_timeout),
      duration({"worker_timeout", kProcesses, "A worker whose event loop blocks for this long is killed and replaced."},
               &Config::worker_timeout, 100ms),
      duration({"stall_threshold", kProcesses,
                "An event loop that blocks for this long is counted, and logged with its stack at most every 10s; 0: "
                "never."},
               &Config::stall_threshold),
      duration({"boot_timeout", kProcesses, "How long a worker may take from its start until it is ready."},
               &Config::boot_timeout, 100ms),
      count({"recycle_requests", kProcesses, "Replace a worker after this many requests; 0: never."},
            &Config::recycle_requests, {0, kAny}),
      duration({"recycle_age", kProcesses, "Replace a worker of this age; 0: never."}, &Config::recycle_age),
      size({"recycle_memory", kProcesses, "Replace a worker with more resident memory than this; 0: never."},
           &Config::recycle_memory, {0, 1ULL << 50}),
      duration({"quarantine_time", kProcesses,
                "How long all workers refuse a request that killed two workers within a minute; 0: never."},
               &Config::quarantine_time),
      size({"survival_memory", kProcesses,
            "Memory per worker for what another worker needs to go on with its connections when it dies; what is not "
            "used takes none. 0: connections end with their worker."},
           &Config::survival_memory, {0, 1ULL << 40}),
      choice(
          {"overload", kProcesses,
           "Whether an overloaded worker refuses requests that have waited for too long with 503, instead of serving "
           "all of them too late."},
          &Config::overload, {"on", "off"}),
      duration({"canary", kProcesses,
                "How long a rollout watches its first new worker before it replaces the others; if it does worse, the "
                "rollout is undone. 0: no canary."},
               &Config::canary),

      redis({"redis", kState,
             "embedded (a private redis-server), none, redis://[user:password@]host:port/database, "
             "redis+cluster://[user:password@]host:port,…, redis+sentinel://[user:password@]host:port,…/name/database "
             "(rediss in the place of redis: with TLS) or unix:PATH.",
             "REDIS_URL"}),
      text({"redis_ca", kState,
            "PEM file with the authorities that may sign Redis' certificate, for rediss://. system: those that "
            "the system trusts."},
           "FILE|system", &Config::redis_ca, accept_path),
      text_or_off(
          {"redis_certificate", kState,
           "PEM file with the client certificate that Redis requires (tls-auth-clients), and intermediate ones. "
           "off: none."},
          "FILE|off", &Config::redis_certificate, accept_path),
      text_or_off({"redis_key", kState, "PEM file with its private key. off: it is in the file of redis_certificate."},
                  "FILE|off", &Config::redis_key, accept_path),
      text_or_off({"redis_tls_name", kState,
                   "Name that the certificates of all servers of Redis must have. off: each must name the host that "
                   "Pronghorn connects to."},
                  "NAME|off", &Config::redis_tls_name, check_tls_name),
      duration({"redis_timeout", kState, "Deadline of a Redis command and of a connection attempt."},
               &Config::redis_timeout, 1ms),
      text({"redis_server", kState, "Program that --redis embedded runs."}, "PROGRAM", &Config::redis_server,
           accept_path),
      size({"redis_memory", kState,
            "Memory for the data of the embedded Redis, at least 8MiB; when it is full, what expires soonest is "
            "evicted; 0: no limit."},
           &Config::redis_memory, {kLeastRedisMemory, 1ULL << 50, true}),
      choice({"ready_requires", kState,
              "What /ready requires besides a worker: redis, or nothing if most routes work without it."},
             &Config::ready_requires, {"redis", "nothing"}),
      text({"session_cookie", kState, "Name of the session cookie."}, "NAME", &Config::session_cookie,
           check_cookie_name),
      duration({"session_ttl", kState, "Sessions idle for longer than this expire."}, &Config::session_ttl, 1s),
      duration({"session_first_ttl", kState,
                "A new session expires after this time unless its cookie comes back; then session_ttl applies."},
               &Config::session_first_ttl, 1s),
      duration({"session_lifetime", kState,
                "A session expires this long after its start or the last login, however much it is used; 0: never."},
               &Config::session_lifetime),
      size({"session_max_bytes", kState,
            "Size of a session: the names and values of all its fields. A change that makes it larger throws."},
           &Config::session_max_bytes, {256, 64ULL << 20}),
      count({"session_max_fields", kState, "Number of fields of a session. One more throws."},
            &Config::session_max_fields, {1, 100'000}),
      choice({"session_same_site", kState,
              "When browsers send the session cookie with requests from other sites: lax (only when a link is "
              "followed), strict (never) or none (always; the cookie is then Secure)."},
             &Config::session_same_site, {"lax", "strict", "none"}),
      text_or_off({"session_domain", kState,
                   "Domain whose hosts all share the session cookie, such as example.org. off: only the host that "
                   "set it."},
                  "DOMAIN|off", &Config::session_domain, check_cookie_domain),
      choice({"rate_limit_fields", kState,
              "What responses say about rate limits: draft (RateLimit-Policy and RateLimit), legacy (RateLimit-Limit, "
              "-Remaining and -Reset) or both."},
             &Config::rate_limit_fields, {"draft", "legacy", "both"}),
      size({"cache_local_memory", kState,
            "Memory per worker for local copies of cached values (option local of the cache). 0: no copies."},
           &Config::cache_local_memory, {0, 1ULL << 40}),

      choice({"log_format", kLogging, "text or json."}, &Config::log_format, {"text", "json"}),
      choice({"log_level", kLogging, "Least severe lines to write: debug, info, warning or error."}, &Config::log_level,
             {"debug", "info", "warning", "error"}),
      text({"log_file", kLogging, "Destination of the log: a file, or - for standard error."}, "-|FILE",
           &Config::log_file, accept_log_file),
      text({"access_log", kLogging, "One line per request: to a file, to - (standard output), or off."}, "-|off|FILE",
           &Config::access_log, accept_access_log),
      access_log_format({"access_log_format", kLogging,
                         "text, combined, json, or a pattern such as '%h \"%r\" %s %b %D'. auto: json if log_format is "
                         "json, else text."}),
      duration({"slow_request", kLogging, "Log a warning for each request that takes longer than this; 0: none."},
               &Config::slow_request),

      text_or_off({"admin", kEndpoints,
                   "Address of a process that serves only the endpoints below, even while every worker is stuck."},
                  "ADDR|off", &Config::admin, check_address),
      list({"admin_networks", kEndpoints,
            "Networks that may see these endpoints, such as 10.0.0.0/8; others get the application's answer. May be "
            "repeated."},
           "NET", &Config::admin_networks, check_network),
      text_or_off({"health_path", kEndpoints, "Answers 200 while the process is alive."}, "PATH|off",
                  &Config::health_path, check_endpoint),
      text_or_off({"ready_path", kEndpoints,
                   "Answers 503 while the server starts, drains, has no working worker or, by ready_requires, no "
                   "Redis; else 200."},
                  "PATH|off", &Config::ready_path, check_endpoint),
      text_or_off({"status_path", kEndpoints, "State of the server and all workers: JSON, or a page for a browser."},
                  "PATH|off", &Config::status_path, check_endpoint),
      text_or_off({"metrics_path", kEndpoints, "The same figures for Prometheus."}, "PATH|off", &Config::metrics_path,
                  check_endpoint),

      text({"control", kFiles, "Socket for the commands that operate a running server."}, "PATH", &Config::control,
           accept_path),
      text({"runtime_dir", kFiles, "Directory for sockets; created with mode 0700."}, "DIR", &Config::runtime_dir,
           accept_path),
      text({"data_dir", kFiles, "Directory for what outlives the server: data of the embedded Redis, crash reports."},
           "DIR", &Config::data_dir, accept_path),

      size({"max_request_line", kHttp, "Longest request line; a longer one gets 414."}, &HttpLimits::max_request_line,
           {64, 1 << 20}),
      size({"max_header_bytes", kHttp, "Size of all header fields of a request together; more get 431."},
           &HttpLimits::max_header_bytes, {256, 16 << 20}),
      count({"max_header_fields", kHttp, "Number of header fields of a request; more get 431."},
            &HttpLimits::max_header_fields, {1, 128}),
      size({"max_body", kHttp, "Largest request body, unless the route has its own limit; a larger one gets 413."},
           &HttpLimits::max_body, {0, 1ULL << 50}),
      duration({"header_timeout", kHttp, "Time from the first byte of a request to the end of its head; then 408."},
               &HttpLimits::header_timeout),
      duration({"body_timeout", kHttp, "Time between two reads of a request body; then 408."},
               &HttpLimits::body_timeout),
      size({"min_receive_rate", kHttp, "Slowest rate of a head or body in bytes per second; a slower one gets 408."},
           &HttpLimits::min_receive_rate, {0, 1ULL << 30}),
      duration(
          {"write_timeout", kHttp, "A connection whose client reads nothing of a response for this long is reset."},
          &HttpLimits::write_timeout),
      duration({"keep_alive_timeout", kHttp, "An idle connection is closed after this time."},
               &HttpLimits::keep_alive_timeout),
      duration({"websocket_ping", kHttp,
                "A WebSocket from which nothing has arrived for this time is pinged, and closed if it does not answer "
                "within the same time; 0: never."},
               &HttpLimits::websocket_ping),
      count({"keep_alive_requests", kHttp, "A connection is closed after this many requests."},
            &HttpLimits::keep_alive_requests, {0, kAny}),
      duration({"keep_alive_age", kHttp, "A connection older than this is closed after its next response."},
               &HttpLimits::keep_alive_age),
      duration({"request_timeout", kHttp,
                "Time until a handler's response begins, unless the route has its own deadline; then 504."},
               &HttpLimits::request_timeout),
      count({"max_connections", kHttp, "Open connections per worker. More get 503; far more wait in the accept queue."},
            &HttpLimits::max_connections, {0, kAny}),
      count({"max_in_flight", kHttp, "Requests handled at once per worker; more get 503."}, &HttpLimits::max_in_flight,
            {0, kAny}),
      size({"max_queued_output", kHttp,
            "A client that has more response bytes than this still to read is not read from."},
           &HttpLimits::max_queued_output, {0, 1ULL << 40}),
      count({"tls_handshakes", kHttp, "TLS handshakes that may begin per second and worker; more of them wait."},
            &HttpLimits::tls_handshakes, {0, 1'000'000}),
      count({"max_streams", kHttp,
             "Requests and WebSockets of one HTTP/2 connection at the same time; more are refused."},
            &HttpLimits::max_streams, {0, kAny}),
      count({"max_stream_resets", kHttp,
             "Requests that an HTTP/2 client may cancel per second, with bursts of five times as many; then the "
             "connection ends."},
            &HttpLimits::max_stream_resets, {0, 1'000'000}),
      count({"max_control_frames", kHttp,
             "Frames per second that an HTTP/2 client may send beyond those that its requests and data need, with "
             "bursts of five times as many; then the connection ends."},
            &HttpLimits::max_control_frames, {0, 1'000'000}),
  };
  // Defaults that depend on the machine or on another option; see server/options/values/machine.h.
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
