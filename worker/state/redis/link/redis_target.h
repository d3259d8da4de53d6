// Where a link connects to, and as what it logs in.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "common/config/redis_url.h"
#include "common/tls/client_context.h"

namespace pronghorn::worker {

struct RedisTarget {
  enum class Kind {
    server,    // a server of its own: one with cluster mode is a configuration error
    primary,   // what sentinels named: it must say that it is the primary
    cluster,   // a node of a cluster, for the slots that it serves
    replica,   // the same, for reads that may be stale: READONLY
    standby,   // what sentinels named as a replica: it must say that it is one
    sentinel,  // a sentinel. It gets the password only if it asks for one
  };
  RedisUrl url;  // of this one server; its `kind` is RedisUrl::Kind::server
  Kind kind = Kind::server;
  std::string trial_key;      // of the trial write at login; empty: none is made
  std::string tls_name = {};  // whom the server's certificate must name; empty: url.host
};

// Called before each attempt to connect. An error says why nobody knows the target yet: the attempt has failed, and the
// link tries again after its backoff, or when RedisLink::retry_now() is called.
using TargetSource = std::function<std::expected<RedisTarget, std::string>()>;

// Whether a connection is to be given up although it works, because its target is no longer one.
using TargetCheck = std::function<bool(const RedisTarget& target)>;

struct LinkSettings {
  std::chrono::milliseconds timeout;                      // of each attempt to connect and log in
  std::string client_name;                                // for CLIENT SETNAME: shown by CLIENT LIST; empty: none
  std::shared_ptr<const TlsClientContext> tls = nullptr;  // null: connections are plain
  std::string tls_name = {};  // whom all certificates must name, instead of what targets say; empty: see RedisTarget
};

}  // namespace pronghorn::worker
