// Finds the primary that sentinels watch, and notices when they name another. Finds its replicas, if they are wanted.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/redis_url.h"
#include "common/ipc/counters.h"
#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"
#include "pronghorn/task.h"
#include "worker/state/redis/node/redis_node.h"

namespace pronghorn::worker {

class CallSchedule;

// Asks one sentinel at a time: once a second, and five times a second while there is no primary that accepts writes. If
// it does not answer, or does not know the primary, the next one is asked; so it is after a second in which the server
// that it names could not be reached as the primary, because a sentinel that is cut off from the others does not know
// better.
//
// Why not the channel +switch-master: a message that was missed would have to be made up for by asking anyway.
//
// Context: loop thread. Must not be destroyed from within a coroutine that it resumes.
class PrimaryFinder final : private RedisNode::Owner {
 public:
  // `found` is called after each answer, with whether the primary is another than before.
  PrimaryFinder(uv_loop_t* loop, const RedisUrl& url, const LinkSettings& settings, CallSchedule& schedule,
                std::function<void(bool is_new)> found);
  PrimaryFinder(const PrimaryFinder&) = delete;
  PrimaryFinder& operator=(const PrimaryFinder&) = delete;
  ~PrimaryFinder();

  // `on_fatal` is called at most once, with one line, if all sentinels reject the configuration (user, password, TLS)
  // before one has named the primary.
  void start(std::function<void(std::string)> on_fatal);
  void close();
  // Whether the primary that was found can be reached, and serves: decides whom to ask, and how often.
  void primary_is(bool up, bool serves);
  // From now on, each question is about replicas(), too.
  void ask_for_replicas();

  // nullopt: none was found yet.
  [[nodiscard]] const std::optional<RedisHost>& primary() const noexcept { return primary_; }
  // Those that a sentinel can reach; if some of them are connected to the primary, only these. In no order.
  [[nodiscard]] const std::vector<RedisHost>& replicas() const noexcept { return replicas_; }
  // Why no sentinel could be asked the last time; empty if one could.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  void node_changed(RedisNode&) override {}
  void node_replied(RedisNode&, RedisCall&, std::uint32_t, Reply&&) override {}  // only for clusters

  [[nodiscard]] Task<void> ask();
  void connect_to(std::size_t sentinel);
  void ask_next();
  void answered(RedisHost host);
  void failed();
  void wait(std::uint64_t ms);
  void on_time();

  uv_loop_t* loop_;
  RedisUrl url_;
  LinkSettings settings_;
  CallSchedule& schedule_;
  std::function<void(bool)> found_;
  std::function<void(std::string)> on_fatal_;
  CounterArray counters_{};  // what sentinels are asked is not counted as a command to Redis

  std::optional<RedisHost> primary_;
  bool wants_replicas_ = false;
  std::vector<RedisHost> replicas_;
  std::string reason_ = "no sentinel was asked yet";
  bool told_ = false;          // that no sentinel names the primary
  std::vector<bool> told_of_;  // that this one does not
  bool up_ = false;            // the primary can be reached
  bool serves_ = false;        //
  std::size_t unreached_ = 0;  // answers in a row that named a server which cannot be reached
  bool closed_ = false;
  std::size_t current_ = 0;  // which sentinel
  std::unique_ptr<RedisNode> sentinel_;
  bool is_rejected_ = false;                          // only another configuration can make this sentinel answer
  std::vector<std::unique_ptr<RedisNode>> previous_;  // closed; destroyed in a later turn of the loop
  Task<void> asking_;
  bool is_asking_ = false;
  UvPtr<uv_timer_t> timer_;
};

}  // namespace pronghorn::worker
