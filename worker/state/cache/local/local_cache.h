// The local copies of a worker, and the servers that keep them right.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/redis_url.h"
#include "pronghorn/task.h"
#include "worker/state/cache/local/key_watch.h"
#include "worker/state/cache/local/local_copies.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::worker {

// Each server whose keys are copied is watched (KeyWatch). Copies of its keys are dropped when one of the connections to
// it breaks, when it is no longer a primary, and when their slots are another node's. A server of its own tells of
// changes over the worker's subscriber; a node of a cluster, over a connection to it that is made with the first read
// for a copy. If Redis refuses tracking there are no copies, which is logged once.
//
// A copy may be old for as long as a change is on its way here. In a cluster a primary that the others have given up
// and that this worker still reaches tells of no changes: its copies are dropped when the map says so, which the worker
// looks at with the next command that fails or is redirected, and every ten seconds.
//
// Context: loop thread; one per worker.
class LocalCache {
 public:
  LocalCache(RedisClient& client, Subscriber& subscriber, std::size_t max_bytes);
  LocalCache(const LocalCache&) = delete;
  LocalCache& operator=(const LocalCache&) = delete;
  ~LocalCache() { close(); }

  // Drops all copies, and closes the connections. There are no copies afterwards.
  void close();

  // A copy that may be used; see LocalCopies::find().
  [[nodiscard]] const LocalCopies::Slot* find(std::string_view name) { return copies_.find(name, now_ms()); }
  // Whether changes of the key in Redis would be told of now. Otherwise begins to make it so.
  [[nodiscard]] bool ready(std::string_view key);
  // Whether changes are told of what was read over this connection.
  [[nodiscard]] bool watches(std::uint64_t connection) const noexcept;
  [[nodiscard]] static std::uint64_t now_ms();
  [[nodiscard]] LocalCopies& copies() noexcept { return copies_; }
  [[nodiscard]] const LocalCopies& copies() const noexcept { return copies_; }

 private:
  struct Server {
    RedisHost host;  // of a node of a cluster
    bool switching_on = false;
    std::unique_ptr<KeyWatch> watch;
  };

  [[nodiscard]] Server* find_server(const RedisHost& host) noexcept;
  [[nodiscard]] Server& server_of(const RedisNode& node);
  [[nodiscard]] Task<void> switch_on(RedisHost host, RedisNode& node, std::int64_t told_to);
  void redis_changed();
  void refused(std::string_view why);

  RedisClient& client_;
  Subscriber& subscriber_;
  LocalCopies copies_;
  std::vector<Server> servers_;  // whose keys were read for copies
  std::uint64_t map_version_ = 0;
  std::uint64_t again_ms_ = 0;  // when to try again after a refusal
  bool told_refused_ = false;
  bool closed_ = false;
};

}  // namespace pronghorn::worker
