// The effective configuration: what the server read from the command line, the environment and the file.
//
// Context: filled once by server/, copied to each worker when it starts, never changed afterwards. A rollout makes a
// new one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pronghorn {

using Milliseconds = std::chrono::milliseconds;

enum class Balance {
  reuseport,
  shared,
  round_robin,
  least_connections,
  random,
  least_response_time,
  ip_hash,
  cookie_hash
};

// Limits and timeouts of the HTTP protocol. A duration of zero switches a timeout off, a count of zero a limit.
struct HttpLimits {
  std::uint32_t max_request_line = 8 * 1024;      // bytes; 414 above
  std::uint32_t max_header_bytes = 32 * 1024;     // all fields together; 431 above
  std::uint32_t max_header_fields = 100;          // 431 above
  std::uint64_t max_body = 1024 * 1024;           // bytes, unless the route says otherwise; 413 above
  Milliseconds header_timeout{10'000};            // from the first byte of a request to the end of its head; 408
  Milliseconds body_timeout{30'000};              // between two reads of a body; 408
  std::uint64_t min_receive_rate = 500;           // bytes per second of a head or body, over five seconds; 408 below
  Milliseconds write_timeout{30'000};             // a client that takes nothing of a response is cut
  Milliseconds keep_alive_timeout{65'000};        // an idle connection is closed
  std::uint32_t keep_alive_requests = 1'000;      // requests per connection; 0: any number
  Milliseconds keep_alive_age{3'600'000};         // a connection this old ends with its next response
  Milliseconds request_timeout{60'000};           // a handler's time until its response begins; 504
  std::uint32_t max_connections = 16'384;         // per worker; 503 above, and far above they wait in the accept queue
  std::uint32_t max_in_flight = 4'096;            // requests being handled per worker; 503 above
  std::uint64_t max_queued_output = 1024 * 1024;  // bytes that a client may leave unread before we stop answering it
};

// Bytes of the path of a Unix socket that the server makes: what the kernel takes, less the end of a temporary name.
inline constexpr std::size_t kMaxSocketPath = 99;

struct Config {
  std::string app;  // path of the plugin; empty for a program with its own main
  std::string
      app_file;  // what is loaded: the supervisor's copy of `app` (supervisor/launch/app_copy.h); empty: `app` itself
  std::string name;  // prefix of every key in Redis; default: the application's file name
  bool name_is_default = false;
  std::vector<std::string> listen{"127.0.0.1:8080"};
  std::uint32_t min_workers = 1;  // equal to max_workers: a fixed number
  std::uint32_t max_workers = 1;
  Balance balance = Balance::reuseport;
  std::uint32_t backlog = 1024;

  bool ipv6_only = true;        // [::]:PORT takes no IPv4
  std::uint32_t unix_mode = 0;  // of the files of Unix sockets; 0: as the umask says
  std::string unix_owner;       // USER, USER:GROUP or :GROUP of the same; empty: the server's

  // Networks, or "unix". Peers that have to begin each connection with a PROXY header:
  std::vector<std::string> proxy_protocol;
  // Peers whose forwarding fields are believed:
  std::vector<std::string> trusted_proxies;
  std::string forwarding_fields = "x-forwarded-for";  // which ones: x-forwarded-for (and -proto, -host), or forwarded

  std::string redis = "embedded";             // embedded, none, redis://…, unix:PATH
  Milliseconds redis_timeout{1'000};          // deadline of a command and of a connection attempt
  std::string redis_server = "redis-server";  // the program that embedded runs
  std::uint64_t redis_memory = 256ULL << 20;  // bytes that the embedded Redis may use for data; 0: any
  std::string control;                        // path of the control socket; empty: control.sock in runtime_dir
  std::string runtime_dir;                    // sockets; made with mode 0700
  std::string data_dir;                       // what outlives the server: the embedded Redis' append-only file

  Milliseconds drain_delay{0};  // keep serving, not ready, before draining
  Milliseconds drain_timeout{30'000};
  Milliseconds worker_timeout{30'000};  // a loop that stands still this long is killed
  Milliseconds stall_threshold{100};    // a loop that stands still this long is counted and its stack logged; 0: none
  Milliseconds boot_timeout{60'000};    // from start to ready
  // A worker above one of these is replaced, the new one first; 0: never.
  std::uint32_t recycle_requests = 0;
  Milliseconds recycle_age{0};
  std::uint64_t recycle_memory = 0;       // resident bytes
  Milliseconds quarantine_time{600'000};  // a request that has killed two workers is refused so long; 0: never
  Milliseconds canary{0};                 // how long the first new worker of a rollout is watched; 0: not

  std::string log_format = "text";  // text, json
  std::string log_level = "info";   // debug, info, warning, error
  std::string log_file = "-";       // "-": standard error
  std::string access_log = "off";   // "-": standard output, off, or a file

  std::string admin;                                                  // address of the admin process; empty: none
  std::vector<std::string> admin_networks{"127.0.0.0/8", "::1/128"};  // who may see the server's own endpoints
  std::string health_path = "/health";                                // each: empty switches the endpoint off
  std::string ready_path = "/ready";
  std::string status_path = "/status";
  std::string metrics_path = "/metrics";

  std::uint32_t offload_threads = 4;
  std::string session_cookie = "session";
  Milliseconds session_ttl{24 * 3'600'000};
  Milliseconds session_first_ttl{600'000};  // of a session whose cookie has not come back yet

  HttpLimits http;
  std::map<std::string, std::string> app_settings;  // the [app] table
};

// The socket that workers use: config.redis, or that of the embedded Redis. "none" stays "none".
[[nodiscard]] std::string redis_address(const Config& config);
[[nodiscard]] std::string control_path(const Config& config);

// One line of JSON and back, for handing the configuration to a worker. parse throws std::runtime_error.
[[nodiscard]] std::string to_json(const Config& config);
[[nodiscard]] Config config_from_json(const std::string& json);

[[nodiscard]] const char* to_string(Balance balance) noexcept;

}  // namespace pronghorn
