// The effective configuration: what the server read from the command line, the environment and the file.
//
// To add an option, add a line to one of the two lists below (type, name, default) and an entry to the table in
// server/options/options.cpp. The members, the record that workers receive and its test follow from the lists.
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
using Texts = std::vector<std::string>;
using TextMap = std::map<std::string, std::string>;

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

// Whether a process of its own, the distributor, accepts connections and passes each to a worker.
[[nodiscard]] constexpr bool passes_connections(Balance balance) noexcept {
  return balance != Balance::reuseport && balance != Balance::shared;
}

// Limits and timeouts of the HTTP protocol. A duration of zero disables a timeout, a count of zero a limit.
// clang-format off
#define PRONGHORN_HTTP_LIMITS(FIELD) \
  FIELD(std::uint32_t, max_request_line, 8 * 1024)      /* bytes; 414 above */ \
  FIELD(std::uint32_t, max_header_bytes, 32 * 1024)     /* all fields together; 431 above */ \
  FIELD(std::uint32_t, max_header_fields, 100)          /* 431 above */ \
  FIELD(std::uint64_t, max_body, 1024 * 1024)           /* bytes, unless the route says otherwise; 413 above */ \
  FIELD(Milliseconds, header_timeout, 10'000)           /* first byte of a request to the end of its head; 408 */ \
  FIELD(Milliseconds, body_timeout, 30'000)             /* between two reads of a body; 408 */ \
  FIELD(std::uint64_t, min_receive_rate, 500)           /* bytes per second of a head or body; 408 below */ \
  FIELD(Milliseconds, write_timeout, 30'000)            /* the client reads nothing of a response; reset */ \
  FIELD(Milliseconds, keep_alive_timeout, 65'000)       /* an idle connection is closed */ \
  FIELD(Milliseconds, websocket_ping, 30'000)           /* a silent WebSocket is pinged, then closed; 0: never */ \
  FIELD(std::uint32_t, keep_alive_requests, 1'000)      /* requests per connection */ \
  FIELD(Milliseconds, keep_alive_age, 3'600'000)        /* an older connection closes after its next response */ \
  FIELD(Milliseconds, request_timeout, 60'000)          /* a handler's time until its response begins; 504 */ \
  FIELD(std::uint32_t, max_connections, 16'384)         /* per worker; 503 above, and far above not accepted */ \
  FIELD(std::uint32_t, max_in_flight, 4'096)            /* requests being handled per worker; 503 above */ \
  FIELD(std::uint64_t, max_queued_output, 1024 * 1024)  /* unread bytes above which a client is not read from */ \
  FIELD(std::uint32_t, tls_handshakes, 0)               /* per second and worker; more wait */ \
  /* Of an HTTP/2 connection. */ \
  FIELD(std::uint32_t, max_streams, 100)         /* requests at the same time; more are refused */ \
  FIELD(std::uint32_t, max_stream_resets, 100)   /* streams reset per second; more end the connection */ \
  FIELD(std::uint32_t, max_control_frames, 100)  /* frames without request or data per second; the same */

#define PRONGHORN_CONFIG(FIELD) \
  FIELD(std::string, app)       /* path of the plugin; empty for a program with its own main */ \
  FIELD(std::string, app_file)  /* the supervisor's copy of `app` (supervisor/launch/app_copy.h); empty: `app` */ \
  FIELD(std::string, name)      /* prefix of every key in Redis */ \
  FIELD(bool, name_is_default, false)  /* nobody chose it: it is the application's file name */ \
  FIELD(Texts, listen, "127.0.0.1:8080") \
  FIELD(std::uint32_t, min_workers, 1)  /* equal to max_workers: a fixed number */ \
  FIELD(std::uint32_t, max_workers, 1) \
  FIELD(std::uint32_t, job_workers, 0)  /* workers that run jobs and serve no requests; 0: all run both */ \
  FIELD(Balance, balance, Balance::reuseport) \
  FIELD(std::uint32_t, backlog, 1024) \
  FIELD(bool, http2, true)            /* offered to clients over TLS */ \
  FIELD(bool, http2_cleartext, false) /* clients may speak HTTP/2 without TLS, by prior knowledge */ \
  FIELD(bool, ipv6_only, true)        /* [::]:PORT takes no IPv4 */ \
  FIELD(std::uint32_t, unix_mode, 0)  /* of the files of Unix sockets; 0: as the umask says */ \
  FIELD(std::string, unix_owner)      /* USER, USER:GROUP or :GROUP of the same; empty: the server's */ \
  FIELD(std::string, user)            /* runs the server if root starts it; empty: root does */ \
  FIELD(std::string, group)           /* its group; empty: the user's */ \
  \
  /* Networks, or "unix". */ \
  FIELD(Texts, proxy_protocol)   /* peers that must begin each connection with a PROXY header */ \
  FIELD(Texts, trusted_proxies)  /* peers whose Forwarded and X-Forwarded-* fields are believed */ \
  FIELD(std::string, forwarding_fields, "x-forwarded-for")  /* those they set: x-forwarded-for, forwarded */ \
  FIELD(bool, early_hints, false)  /* Request::early_hints() sends 103 responses */ \
  \
  /* Paths of PEM files, for addresses of `listen` that begin with https:// */ \
  FIELD(Texts, tls_certificate)  /* chains, the server's own certificate first */ \
  FIELD(Texts, tls_key)          /* private keys of those, in the same order, unless their file has it as well */ \
  FIELD(std::string, tls_client_ca)                   /* who signs the certificates of clients; empty: nobody */ \
  FIELD(std::string, tls_client_certificates, "off")  /* off, optional, required */ \
  FIELD(bool, kernel_tls, true)                       /* the kernel encrypts, if it can; connections survive then */ \
  FIELD(bool, redirect_http, false)                   /* requests on plain TCP addresses get 308 to https:// */ \
  \
  FIELD(std::string, redis, "embedded")             /* embedded, none, redis://…, rediss://…, unix:PATH */ \
  FIELD(std::string, redis_ca, "system")            /* file of the authorities of rediss://; system: the system's */ \
  FIELD(std::string, redis_certificate)             /* file of our certificate for rediss://; empty: none */ \
  FIELD(std::string, redis_key)                     /* file of its key; empty: it is in redis_certificate */ \
  FIELD(std::string, redis_tls_name)                /* whom certificates must name; empty: the host of each */ \
  FIELD(std::string, redis_ca_pem)                  /* contents of the three files: see */ \
  FIELD(std::string, redis_certificate_pem)         /* supervisor/tls/redis_files.h */ \
  FIELD(std::string, redis_key_pem) \
  FIELD(Milliseconds, redis_timeout, 1'000)         /* of a command, and of a connection attempt */ \
  FIELD(std::string, redis_server, "redis-server")  /* the program that embedded runs */ \
  FIELD(std::uint64_t, redis_memory, 256ULL << 20)  /* bytes of data in the embedded Redis; 0: no limit */ \
  FIELD(std::string, ready_requires, "redis")       /* redis: /ready is 503 without it; nothing */ \
  FIELD(std::string, control)                       /* path of the control socket; empty: in runtime_dir */ \
  FIELD(std::string, runtime_dir)                   /* sockets; created with mode 0700 */ \
  FIELD(std::string, data_dir)                      /* what outlives the server: embedded Redis, crash reports */ \
  \
  FIELD(Milliseconds, drain_delay, 0)  /* keep serving, not ready, before draining */ \
  FIELD(Milliseconds, drain_timeout, 30'000) \
  FIELD(Milliseconds, worker_timeout, 30'000)     /* a worker whose loop blocks this long is killed */ \
  FIELD(Milliseconds, stall_threshold, 100)       /* a loop blocked this long is counted and logged; 0: never */ \
  FIELD(Milliseconds, boot_timeout, 60'000)       /* from start to ready */ \
  FIELD(std::uint32_t, recycle_requests, 0)       /* a worker above one of these three is replaced, */ \
  FIELD(Milliseconds, recycle_age, 0)             /* its successor first; 0: never */ \
  FIELD(std::uint64_t, recycle_memory, 0)         /* resident bytes */ \
  FIELD(Milliseconds, quarantine_time, 600'000)   /* a request that killed two workers is refused; 0: never */ \
  FIELD(std::uint64_t, survival_memory, 32ULL << 20)  /* bytes of the ledger of connections, per worker; 0: none */ \
  FIELD(std::string, overload, "on")              /* on: an overloaded worker refuses requests; off */ \
  FIELD(Milliseconds, canary, 0)                  /* how long a rollout watches its first worker; 0: not */ \
  \
  FIELD(std::string, log_format, "text")  /* text, json */ \
  FIELD(std::string, log_level, "info")   /* debug, info, warning, error */ \
  FIELD(std::string, log_file, "-")       /* "-": standard error */ \
  FIELD(std::string, access_log, "off")   /* "-": standard output, off, or a file */ \
  FIELD(std::string, access_log_format)   /* text, combined, json or a pattern; empty: as log_format */ \
  FIELD(Milliseconds, slow_request, 0)    /* a request that takes longer is logged; 0: none */ \
  \
  FIELD(std::string, admin)                                      /* address of the admin process; empty: none */ \
  FIELD(Texts, admin_networks, "127.0.0.0/8", "::1/128")         /* who may see the server's own endpoints */ \
  FIELD(std::string, health_path, "/health")                     /* empty disables the endpoint; the next three too */ \
  FIELD(std::string, ready_path, "/ready") \
  FIELD(std::string, status_path, "/status") \
  FIELD(std::string, metrics_path, "/metrics") \
  \
  FIELD(std::uint32_t, offload_threads, 4) \
  FIELD(std::string, session_cookie, "session") \
  FIELD(Milliseconds, session_ttl, 24 * 3'600'000) \
  FIELD(Milliseconds, session_first_ttl, 600'000)  /* of a session whose cookie has not come back yet */ \
  FIELD(Milliseconds, session_lifetime, 0)         /* also of one that is used all the time; 0: no limit */ \
  FIELD(std::uint64_t, session_max_bytes, 256 * 1024)  /* names and values of all fields together */ \
  FIELD(std::uint32_t, session_max_fields, 10'000) \
  FIELD(std::string, session_same_site, "lax")     /* of the cookie: lax, strict, none */ \
  FIELD(std::string, session_domain)               /* of the cookie; empty: the host that set it */ \
  FIELD(std::string, rate_limit_fields, "draft")   /* in responses: draft, legacy, both */ \
  FIELD(std::uint64_t, cache_local_memory, 16ULL << 20)  /* bytes of local copies of cached values, per worker */ \
  \
  FIELD(HttpLimits, http) \
  FIELD(TextMap, app_settings)  /* the [app] table */
// clang-format on

#define PRONGHORN_MEMBER(type, name, ...) type name{__VA_ARGS__};
struct HttpLimits {
  PRONGHORN_HTTP_LIMITS(PRONGHORN_MEMBER)
};
struct Config {
  PRONGHORN_CONFIG(PRONGHORN_MEMBER)
};
#undef PRONGHORN_MEMBER

// Calls `visit(name, member)` for each member, in the order above. `settings` is const or not, and so are the members.
#define PRONGHORN_VISIT(type, name, ...) visit(#name, settings.name);
template <class Visitor>
void for_each_field(HttpLimits& settings, Visitor&& visit) {
  PRONGHORN_HTTP_LIMITS(PRONGHORN_VISIT)
}
template <class Visitor>
void for_each_field(const HttpLimits& settings, Visitor&& visit) {
  PRONGHORN_HTTP_LIMITS(PRONGHORN_VISIT)
}
template <class Visitor>
void for_each_field(Config& settings, Visitor&& visit) {
  PRONGHORN_CONFIG(PRONGHORN_VISIT)
}
template <class Visitor>
void for_each_field(const Config& settings, Visitor&& visit) {
  PRONGHORN_CONFIG(PRONGHORN_VISIT)
}
#undef PRONGHORN_VISIT
#undef PRONGHORN_HTTP_LIMITS
#undef PRONGHORN_CONFIG

// The longest path of a Unix socket that the server creates: the kernel's limit, less the end of a temporary name.
inline constexpr std::size_t kMaxSocketPath = 99;

// The socket that workers use: config.redis, or that of the embedded Redis. "none" stays "none".
[[nodiscard]] std::string redis_address(const Config& config);
[[nodiscard]] std::string control_path(const Config& config);

// One line of JSON and back, for passing the configuration to a worker. config_from_json throws std::runtime_error.
[[nodiscard]] std::string to_json(const Config& config);
[[nodiscard]] Config config_from_json(const std::string& json);

[[nodiscard]] const char* to_string(Balance balance) noexcept;

}  // namespace pronghorn
