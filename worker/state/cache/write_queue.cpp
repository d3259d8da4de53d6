#include "worker/state/cache/write_queue.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/error.h"
#include "pronghorn/timer.h"
#include "worker/runtime/exception_text.h"
#include "worker/state/cache/store/cache_scripts.h"
#include "worker/state/redis/redis_client.h"

namespace pronghorn::worker {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstRetry = 100ms;
constexpr std::chrono::milliseconds kLongestRetry = 5s;
constexpr std::chrono::milliseconds kAfterFailure = 1ms;  // before the task that saw it saves anything else
constexpr std::chrono::milliseconds kLookWhileDraining = 5ms;

}  // namespace

WriteQueue::WriteQueue(RedisClient& client, WorkerRow& row, const Limits& limits)
    : client_(client), row_(row), limits_(limits) {}

WriteQueue::~WriteQueue() {
  if (size() == 0) return;
  log_error("values of write_behind() are lost: the worker stopped before they could be saved", {{"values", size()}});
}

WriteQueue::Place::Place(WriteQueue& queue, const std::string& entry, std::size_t bytes)
    : queue_(queue), bytes_(bytes) {
  const auto older = queue.waiting_.find(entry);
  const bool is_queued = older != queue.waiting_.end() || queue.running_.contains(entry);
  const std::size_t replaced = older != queue.waiting_.end() ? older->second.value.size() : 0;
  if ((!is_queued && queue.size() + queue.places_ >= queue.limits_.keys) ||
      queue.bytes_ - replaced + bytes > queue.limits_.bytes) {
    throw HttpError(503, "the queue of write_behind() is full").retry_after(1);
  }
  ++queue_.places_;
  queue_.bytes_ += bytes_;
}

WriteQueue::Place::~Place() {
  --queue_.places_;
  queue_.bytes_ -= bytes_;
}

void WriteQueue::push(EntryKeys keys, std::string entry_id, std::string value, std::unique_ptr<CacheSave> save) {
  const auto older = waiting_.find(keys.entry);
  if (older != waiting_.end()) {  // the latest value counts; it keeps the place in the order
    bytes_ = bytes_ - older->second.value.size() + value.size();
    older->second.entry_id = std::move(entry_id);
    older->second.value = std::move(value);
    older->second.save = std::move(save);
  } else {
    add({.keys = std::move(keys),
         .entry_id = std::move(entry_id),
         .value = std::move(value),
         .save = std::move(save),
         .turn = {Clock::now(), 0}});
  }
  start_tasks();
}

void WriteQueue::add(Write write) {
  bytes_ += write.value.size();
  write.turn.second = ++added_;
  order_.emplace(write.turn, write.keys.entry);
  std::string key = write.keys.entry;
  waiting_.emplace(std::move(key), std::move(write));
  count();
}

void WriteQueue::count() noexcept { row_[Count::cache_queued_writes].store(size(), std::memory_order_relaxed); }

// The first write that can be saved now. Without one, `next` is when there may be one, if that is known.
std::optional<WriteQueue::Write> WriteQueue::take_due(Clock::time_point& next) {
  const auto first = std::ranges::find_if(order_, [this](const auto& each) { return !running_.contains(each.second); });
  next = first == order_.end() ? Clock::time_point::max() : first->first.first;
  if (next > Clock::now()) return std::nullopt;
  const auto found = waiting_.find(first->second);
  Write write = std::move(found->second);
  waiting_.erase(found);
  order_.erase(first);
  bytes_ -= write.value.size();
  return write;
}

// ---- saving

// Counts a task that saves, until it ends or is destroyed.
class WriteQueue::Counted {
 public:
  explicit Counted(WriteQueue& queue) noexcept : queue_(queue) { ++queue_.tasks_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --queue_.tasks_; }

 private:
  WriteQueue& queue_;
};

// A write that is being saved. If it has not been saved at the end, it waits again, unless there is a newer value.
class WriteQueue::Running {
 public:
  Running(WriteQueue& queue, Write write) : queue_(queue), write_(std::move(write)) {
    queue_.running_.insert(write_.keys.entry);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    queue_.running_.erase(write_.keys.entry);
    if (!done_ && !queue_.waiting_.contains(write_.keys.entry)) queue_.add(std::move(write_));
    queue_.count();
  }
  [[nodiscard]] Write& write() noexcept { return write_; }
  void done() noexcept { done_ = true; }

 private:
  WriteQueue& queue_;
  Write write_;
  bool done_ = false;
};

void WriteQueue::start_tasks() {
  while (tasks_ < std::min(limits_.at_once, waiting_.size())) {
    const std::size_t before = tasks_;
    spawn(save_all());
    if (tasks_ == before) break;  // it had nothing to do and has ended
  }
}

Task<void> WriteQueue::save_all() {
  const Counted counted(*this);
  while (!waiting_.empty()) {
    Clock::time_point next;
    std::optional<Write> write = take_due(next);
    if (write) {
      Task<bool> saving = save_one(std::move(*write));
      const bool is_saved = co_await std::move(saving);
      if (!is_saved) co_await sleep_for(kAfterFailure);
    } else if (next == Clock::time_point::max()) {
      co_return;  // the tasks that save earlier values of these keys go on
    } else {
      co_await sleep_for(next - Clock::now());
    }
  }
}

Task<bool> WriteQueue::save_one(Write write) {
  Running running(*this, std::move(write));
  std::string error;
  try {
    co_await running.write().save->run(running.write().value);
    running.done();
  } catch (...) {
    error = describe(std::current_exception());
  }
  if (error.empty()) {
    saved(running.write());
  } else {
    failed(running.write(), error);
    running.write().pause = std::clamp(2 * running.write().pause, kFirstRetry, kLongestRetry);
    running.write().turn.first = Clock::now() + running.write().pause;
  }
  co_return error.empty();
}

void WriteQueue::failed(const Write& write, const std::string& error) {
  const bool first = failing_.empty();
  failing_.insert(write.keys.entry);
  if (!first) return;
  log_warning("a value of write_behind() could not be saved: it will be tried again",
              {{"key", write.keys.entry}, {"error", error}, {"queued", size()}});
}

void WriteQueue::saved(const Write& write) {
  if (failing_.erase(write.keys.entry) > 0 && failing_.empty()) log_info("values of write_behind() are saved again");
  if (waiting_.contains(write.keys.entry)) return;  // the entry belongs to the newer value
  const std::array<std::string_view, 6> words{
      "EVAL", keep_only_script().source(), "2", write.keys.entry, write.keys.lock, write.entry_id};
  client_.post(words);
}

Task<void> WriteQueue::drain() {
  while (size() > 0) {
    start_tasks();
    co_await sleep_for(kLookWhileDraining);
  }
}

}  // namespace pronghorn::worker
