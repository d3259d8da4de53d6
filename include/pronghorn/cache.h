// A cache in Redis that all workers and machines share: a value that many requests need at once is computed by one of
// them, and the others wait for it.
//
//   const std::string page = co_await request.cache().get_or_fill("product:42", {.ttl = 10min, .tags = {"products"}},
//                                                                 [&] { return render(42); });
//   co_await request.cache().invalidate_tag("products");
//   app.get("/catalogue", catalogue).cached({.ttl = 30s});
//
// Context: the worker's loop thread. docs/app/cache.md says what happens when Redis is down or full.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pronghorn/detail/callable.h"
#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

class Request;

// Names under which entries can be invalidated together: {"products", "prices"}. At most kMost, each of at most 1 KiB,
// of any bytes. Holds views of the texts, which must live until the function of Cache that takes them has been called
// (not until its task ends).
class CacheTags {
 public:
  static constexpr std::size_t kMost = 8;

  CacheTags() noexcept = default;
  // Not an initializer_list, whose array GCC 12 cannot keep in a coroutine.
  template <class... Text>
    requires(sizeof...(Text) > 0 && (std::convertible_to<const Text&, std::string_view> && ...))
  CacheTags(const Text&... tags) {  // NOLINT(google-explicit-constructor): {.tags = {"a", "b"}}
    static_assert(sizeof...(Text) <= kMost, "too many tags");
    (static_cast<void>(tags_[count_++] = tags), ...);
  }
  // Throws std::invalid_argument if there are more than kMost.
  CacheTags(const std::vector<std::string>& tags) {  // NOLINT(google-explicit-constructor): {.tags = list}
    require_room(tags.size());
    for (const std::string& tag : tags) tags_[count_++] = tag;
  }

  [[nodiscard]] std::span<const std::string_view> list() const noexcept { return {tags_.data(), count_}; }

 private:
  PRONGHORN_API static void require_room(std::size_t count);

  std::array<std::string_view, kMost> tags_;
  std::size_t count_ = 0;
};

// How long and under which conditions a value is kept. Each time is at most 366 days.
struct CacheOptions {
  // How long the value is fresh. A random part of up to a tenth is taken off, so that entries that were made together
  // do not expire together. Above zero.
  std::chrono::milliseconds ttl = std::chrono::minutes(1);
  // How long after that the old value may still be used: callers get it immediately, and one of them recomputes it in
  // the background. Set it if computing takes longer than a request may wait. The fill then runs after its caller has
  // ended, so it must own what it captures: no [&].
  std::chrono::milliseconds stale{0};
  // How long a fill's nullopt is kept, so that what does not exist is not looked up for each request. Zero: not at all.
  std::chrono::milliseconds negative = std::chrono::seconds(5);
  CacheTags tags = {};
  std::size_t max_value = 1024 * 1024;  // bytes; a larger value is an error
  // Keeps a copy in this worker's memory (option cache_local_memory), which costs no round trip. Redis tells the worker
  // when the entry changes: other workers' changes are seen a moment later than without the copy. For what is read
  // much more often than it changes.
  bool local = false;
};

// How a cached() route keeps its responses.
//
// Such a route is a shared cache by RFC 9111 in front of its handler, for GET and HEAD: it obeys the Cache-Control of
// requests (no-store, no-cache, max-age, min-fresh, only-if-cached) and of responses (no-store, no-cache, private,
// public, max-age, s-maxage, must-revalidate, stale-while-revalidate), Expires and Vary, and adds Age to what it has
// stored. It makes an ETag for a 200 that has none, and answers 304 to a client that has the response already. One
// request runs the handler; others for the same URL wait for its response. Middleware runs for every request. A request
// with an unsafe method that does not fail ends what is stored for its URL.
// Not stored: responses with Set-Cookie; with a status that is not cacheable by default (RFC 9110 section 15.1);
// streams, files, and bodies above max_body; what the handler throws. Only stored if public or with s-maxage: responses
// to requests with Authorization, or for which the session, a token from elsewhere (require_token(), Tokens::verify())
// or the client's certificate was read. Requests with Range, If-Range, If-Match or If-Unmodified-Since run the handler.
// So does every request while Redis is unavailable, or with --redis none.
//
// The key is the URL, with host, scheme and query, so a client that sends many different queries fills the cache. A
// handler whose response depends on anything else must say so with Vary or `key`. Times are at most 366 days.
struct CachedOptions {
  // How long a response stays fresh if its fields (s-maxage, max-age, Expires) do not say so. Zero: it is not stored.
  std::chrono::milliseconds ttl{0};
  // For how long after that the old response may still be sent while one request, which gets the new response, runs the
  // handler. The response may say otherwise: stale-while-revalidate, must-revalidate, s-maxage.
  std::chrono::milliseconds stale{0};
  // Names for Cache::invalidate_tag(), of any bytes. At most CacheTags::kMost.
  std::vector<std::string> tags = {};
  std::size_t max_body = 1024 * 1024;  // bytes; a response with a larger body is sent, but not stored
  // What the response depends on beside the URL: a tenant, a language in a cookie. Empty: nothing.
  std::function<std::string(Request&)> key = {};
};

namespace detail {

class CacheService;

// How long a filled value is kept.
struct CacheLifetime {
  std::chrono::milliseconds ttl;
  std::chrono::milliseconds stale;
  std::chrono::milliseconds negative;
};

// What computes a value. Kept alive by the coroutine that runs it, which may be one in the background.
class PRONGHORN_API CacheFill {
 public:
  CacheFill() = default;
  CacheFill(const CacheFill&) = delete;
  CacheFill& operator=(const CacheFill&) = delete;
  virtual ~CacheFill() = default;
  [[nodiscard]] virtual Task<std::optional<std::string>> run() = 0;
  // Asked after run(); may differ from what the caller's options say.
  [[nodiscard]] virtual CacheLifetime lifetime(const CacheLifetime& asked) { return asked; }
};

template <class T>
struct TaskResult {
  using Type = T;
  static constexpr bool kIsTask = false;
};
template <class T>
struct TaskResult<Task<T>> {
  using Type = T;
  static constexpr bool kIsTask = true;
};
template <class F>
using FillResult = TaskResult<std::invoke_result_t<F&>>;
// What get_or_fill() yields.
template <class F>
using Filled = std::conditional_t<std::same_as<typename FillResult<F>::Type, std::optional<std::string>>,
                                  std::optional<std::string>, std::string>;

template <class F>
class CacheFillOf final : public CacheFill {
 public:
  static_assert(std::convertible_to<typename FillResult<F>::Type, Filled<F>>,
                "a fill returns std::string, std::optional<std::string>, or a Task of either");
  template <class G>
  explicit CacheFillOf(std::in_place_t, G&& fill) : fill_(std::forward<G>(fill)) {}
  Task<std::optional<std::string>> run() override {
    if constexpr (FillResult<F>::kIsTask) {
      auto value = co_await fill_();
      co_return std::optional<std::string>(std::move(value));
    } else {
      co_return std::optional<std::string>(fill_());
    }
  }

 private:
  F fill_;
};

// What stores a value where it belongs: in a database, say.
class PRONGHORN_API CacheSave {
 public:
  CacheSave() = default;
  CacheSave(const CacheSave&) = delete;
  CacheSave& operator=(const CacheSave&) = delete;
  virtual ~CacheSave() = default;
  [[nodiscard]] virtual Task<void> run(const std::string& value) = 0;
};

template <class F>
class CacheSaveOf final : public CacheSave {
 public:
  template <class G>
  explicit CacheSaveOf(std::in_place_t, G&& save) : save_(std::forward<G>(save)) {}
  Task<void> run(const std::string& value) override {
    if constexpr (std::is_invocable_v<F&, const std::string&>) {
      if constexpr (TaskResult<std::invoke_result_t<F&, const std::string&>>::kIsTask) {
        co_await save_(value);
      } else {
        save_(value);
      }
    } else {
      static_assert(std::is_invocable_v<F&>, "a save takes the value (const std::string&), or nothing");
      if constexpr (TaskResult<std::invoke_result_t<F&>>::kIsTask) {
        co_await save_();
      } else {
        save_();
      }
    }
    co_return;
  }

 private:
  F save_;
};

// What the task of a hit returns: the text is copied into the promise when the coroutine is created, and nowhere else.
struct ReadyText {
  const std::string* text;
};
struct AlreadyThere {};
template <class T>
struct ReadyPromise : Promise<T> {
  explicit ReadyPromise(const ReadyText& ready) { this->value.emplace(*ready.text); }
  Task<T> get_return_object() noexcept {
    // So that the handle finds the frame from its base class.
    static_assert(alignof(ReadyPromise) == alignof(Promise<T>) && sizeof(ReadyPromise) == sizeof(Promise<T>));
    return Promise<T>::get_return_object();
  }
  void return_value(AlreadyThere) const noexcept {}
};

}  // namespace detail
}  // namespace pronghorn

template <class T>
struct std::coroutine_traits<pronghorn::Task<T>, pronghorn::detail::ReadyText> {
  using promise_type = pronghorn::detail::ReadyPromise<T>;
};

namespace pronghorn {
namespace detail {

template <class T>
Task<T> ready_task(ReadyText) {
  co_return AlreadyThere();
}

}  // namespace detail

// A handle to the worker's cache: cheap to copy, valid for the life of the worker.
//
// Keys and tags are 1 byte to 1 KiB, of any bytes. Errors of all functions, thrown when they are called:
// std::invalid_argument for a key, a tag or an option out of range.
class PRONGHORN_API Cache {
 public:
  static constexpr std::size_t kMaxKey = 1024;  // bytes

  explicit Cache(detail::CacheService& service) noexcept : service_(&service) {}  // for Worker and Request

  // The value of `key`: from the cache, or else what `fill` returns, which is then kept. `fill` is called without
  // arguments and returns std::string, std::optional<std::string> (nullopt: there is none; see `negative`), or a Task
  // of either; get_or_fill() yields the same.
  //
  // One fill runs per key over all workers and machines; the other callers wait for its value. If its worker dies,
  // another caller's fill runs: immediately on the same machine, within a second on another. A worker whose loop is
  // blocked for longer than that counts as dead for other machines, for its own after 5 s: two fills may then run.
  // What a fill throws comes out of the get_or_fill() that it was passed to; a waiting caller then runs its own. A fill
  // ends when its caller's task is destroyed (the client left, the deadline passed), and another caller's runs.
  //
  // A value that is invalidated while its fill runs goes to that fill's caller alone.
  //
  // If Redis is unavailable, `fill` runs without the cache, at most once at a time per key and worker (counted:
  // cache/unavailable). Throws std::length_error if the value exceeds max_value.
  template <class F>
  [[nodiscard]] auto get_or_fill(std::string_view key, const CacheOptions& options, F&& fill)
      -> Task<detail::Filled<std::decay_t<F>>> {
    detail::check_awaited_callable<F>();
    using Fill = std::decay_t<F>;
    if (options.local) {
      if (const std::string* const copy = find_local(key)) {
        return detail::ready_task<detail::Filled<Fill>>(detail::ReadyText(copy));
      }
    }
    auto computes = std::make_shared<detail::CacheFillOf<Fill>>(std::in_place, std::forward<F>(fill));
    if constexpr (std::same_as<detail::Filled<Fill>, std::string>) {
      return fetch_value(key, options, std::move(computes));
    } else {
      return fetch(key, options, std::move(computes));
    }
  }

  // Removes the entry. Fills that run now do not put it back. Throws RedisUnavailable if that cannot be done; the entry
  // may then live on until it expires.
  [[nodiscard]] Task<void> invalidate(std::string_view key);
  // Removes all entries with this tag, in one step whatever their number. Throws like invalidate().
  [[nodiscard]] Task<void> invalidate_tag(std::string_view tag);

  // Saves a value where it belongs, and then in the cache. `save` is called with the value (const std::string&) or
  // without arguments, and may return a Task. While it runs, callers of get_or_fill() wait for the value. If two writes
  // of a key overlap, neither stays in the cache, because nobody knows which was saved last.
  //
  // Throws what `save` throws: the entry is then removed. Throws RedisUnavailable, without calling `save`, if the old
  // entry cannot be removed first, and std::length_error, when it is called, if the value exceeds max_value. When the
  // task ends, the value is saved, and the cache has it or nothing.
  template <class F>
  [[nodiscard]] Task<void> write_through(std::string_view key, std::string value, F&& save,
                                         const CacheOptions& options = {}) {
    detail::check_awaited_callable<F>();
    return write(WriteOrder::through, key, std::move(value), options, make_save(std::forward<F>(save)));
  }

  // Puts a value into the cache, and has it saved in the background: for values that change more often than they can be
  // saved. Of a key only the latest value is saved, by this worker in the order of the calls; `save` is as above, and
  // must own what it captures. What it throws is logged, and it is called again, with growing pauses, until it returns.
  // A worker that drains or stops saves first what is queued, within drain_timeout and before its last on_stop hook has
  // ended. So a save may run more than once, and is lost only with the worker: on a crash, by kill -9, or if it still
  // fails when the time to stop has run out (logged). What must not be lost is a job (pronghorn/jobs.h).
  //
  // The queue of a worker holds 10,000 keys and 64 MiB. Throws HttpError 503 if it is full, and RedisUnavailable if the
  // cache does not take the value; then nothing is saved. Throws std::length_error as write_through() does.
  template <class F>
  [[nodiscard]] Task<void> write_behind(std::string_view key, std::string value, F&& save,
                                        const CacheOptions& options = {}) {
    detail::check_awaited_callable<F>();
    return write(WriteOrder::behind, key, std::move(value), options, make_save(std::forward<F>(save)));
  }

 private:
  template <class F>
  static std::unique_ptr<detail::CacheSave> make_save(F&& save) {
    return std::make_unique<detail::CacheSaveOf<std::decay_t<F>>>(std::in_place, std::forward<F>(save));
  }
  // The local copy of the value, good until the next call of any function; null if there is none.
  [[nodiscard]] const std::string* find_local(std::string_view key);
  [[nodiscard]] Task<std::optional<std::string>> fetch(std::string_view key, const CacheOptions& options,
                                                       std::shared_ptr<detail::CacheFill> fill);
  [[nodiscard]] Task<std::string> fetch_value(std::string_view key, const CacheOptions& options,
                                              std::shared_ptr<detail::CacheFill> fill);
  enum class WriteOrder { through, behind };
  [[nodiscard]] Task<void> write(WriteOrder order, std::string_view key, std::string value, const CacheOptions& options,
                                 std::unique_ptr<detail::CacheSave> save);

  detail::CacheService* service_;
};

}  // namespace pronghorn
