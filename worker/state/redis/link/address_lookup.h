// Resolves the name of the Redis server on a thread of its own.
#pragma once

#include <netdb.h>
#include <uv.h>

#include <functional>
#include <memory>
#include <string>

#include "common/uv_ptr.h"

namespace pronghorn::worker {

// Not uv_getaddrinfo(): it uses libuv's thread pool, and reconnecting to Redis must not wait for the blocking work that
// handlers offload there. One lookup runs at a time; a slow one is shared by all attempts to connect that it outlasts.
//
// Context:   loop thread.
// Ownership: may be destroyed while a lookup runs; its result is then dropped. The loop must turn once more to free the
//            handle.
class AddressLookup {
 public:
  using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;
  // `error` is empty if there is at least one address.
  using Done = std::function<void(const std::string& error, Addresses addresses)>;

  explicit AddressLookup(uv_loop_t* loop) noexcept : loop_(loop) {}
  AddressLookup(const AddressLookup&) = delete;
  AddressLookup& operator=(const AddressLookup&) = delete;
  ~AddressLookup();

  // Calls `done` from the loop, once. An earlier `done` that was not called yet is dropped. All calls must name the same
  // server. Returns why no lookup can begin, or an empty string.
  [[nodiscard]] std::string start(const std::string& host, int port, Done done);
  void cancel() noexcept { done_ = nullptr; }

  // The addresses of `host` if it is an IP address, else null. Does not block.
  [[nodiscard]] static Addresses parse(const std::string& host, int port);

 private:
  struct Job;
  void finished();

  uv_loop_t* loop_;
  Done done_;
  UvPtr<uv_async_t> wake_;    // the thread's way into the loop
  std::shared_ptr<Job> job_;  // shared with the thread; null: no lookup runs
};

}  // namespace pronghorn::worker
