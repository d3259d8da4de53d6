// The values that write_behind() has yet to save: at most one per key, the latest.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "common/ipc/scoreboard.h"
#include "pronghorn/task.h"
#include "worker/state/cache/store/cache_call.h"
#include "worker/state/cache/store/fill_claim.h"

namespace pronghorn::worker {

class RedisClient;

// Saves in the order in which the keys came, a few at a time, never two of one key. A save that throws is repeated,
// after 100 ms at first, then after twice the last pause, up to 5 s. However many saves throw at once, the loop turns
// in between. The tasks that save are in the background, so a draining worker waits for them.
//
// Context:   loop thread; one per worker. Must outlive its tasks.
class WriteQueue {
 public:
  struct Limits {
    std::size_t keys = 10'000;
    std::size_t bytes = 64 * 1024 * 1024;  // of all values
    std::size_t at_once = 8;               // saves that run at the same time
  };

  WriteQueue(RedisClient& client, WorkerRow& row, const Limits& limits);
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;
  ~WriteQueue();  // logs how many values are lost

  // Room for one value of the key `entry`, until push() or the end of this object. A key that is queued needs room only
  // for what its value is larger. Throws HttpError 503 with Retry-After if there is none.
  class Place {
   public:
    Place(WriteQueue& queue, const std::string& entry, std::size_t bytes);
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place();

   private:
    WriteQueue& queue_;
    std::size_t bytes_;
  };

  // `entry_id` is that of the entry in the cache: if it is another one after the save, it may be older than what was
  // saved, and is removed.
  void push(EntryKeys keys, std::string entry_id, std::string value, std::unique_ptr<CacheSave> save);

  // Returns when everything is saved. Starts tasks again if those that there were have been destroyed.
  [[nodiscard]] Task<void> drain();
  // How many values wait or are being saved.
  [[nodiscard]] std::size_t size() const noexcept { return waiting_.size() + running_.size(); }

 private:
  // When a write is due, then the order of add().
  using Turn = std::pair<std::chrono::steady_clock::time_point, std::uint64_t>;
  struct Write {
    EntryKeys keys;
    std::string entry_id;
    std::string value;
    std::unique_ptr<CacheSave> save;
    std::chrono::milliseconds pause{0};  // before the next attempt
    Turn turn = {};
  };
  class Running;
  class Counted;

  void add(Write write);
  [[nodiscard]] std::optional<Write> take_due(std::chrono::steady_clock::time_point& next);
  void start_tasks();
  [[nodiscard]] Task<void> save_all();
  // Whether it was saved.
  [[nodiscard]] Task<bool> save_one(Write write);
  void failed(const Write& write, const std::string& error);
  void saved(const Write& write);
  void count() noexcept;

  RedisClient& client_;
  WorkerRow& row_;
  Limits limits_;
  std::unordered_map<std::string, Write> waiting_;  // by the key of the entry
  std::map<Turn, std::string> order_;               // of the keys of waiting_
  std::unordered_set<std::string> running_;
  std::uint64_t added_ = 0;
  std::size_t bytes_ = 0;                    // of the values in waiting_, and of places
  std::size_t places_ = 0;                   // rooms that are taken and not used yet
  std::size_t tasks_ = 0;                    // that save
  std::unordered_set<std::string> failing_;  // keys whose last save has failed
};

}  // namespace pronghorn::worker
