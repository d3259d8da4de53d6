// One byte stream to a Redis server, over TCP or a Unix socket.
//
// Why not hiredis' asynchronous context: it resolves names with a blocking getaddrinfo() (an unreachable name server
// would stop the whole worker), aborts the process when a server sends a reply without a command, and allocates for
// every command. We use only the parser of hiredis; see reply_reader.h.
#pragma once

#include <uv.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/config/redis_url.h"
#include "worker/state/redis/link/address_lookup.h"

namespace pronghorn::worker {

// Context:   loop thread. The process must ignore SIGPIPE.
// Ownership: may be destroyed at any time, also from within its listener's functions; the listener is not called
//            afterwards. The loop must turn once more to free the handles.
class RedisConnection {
 public:
  // Called from the loop. After closed() the connection can only be destroyed.
  class Listener {
   public:
    virtual void connected() = 0;
    virtual void received(std::string_view bytes) = 0;
    virtual void writable() = 0;  // the socket took all bytes of the last write()
    virtual void closed(const std::string& reason) = 0;

   protected:
    ~Listener() = default;
  };

  // `lookup` must outlive the connection.
  RedisConnection(uv_loop_t* loop, AddressLookup& lookup, Listener& listener) noexcept;
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;
  ~RedisConnection();

  // Tries the addresses of the host in turn until one accepts. Call it once. Returns why it cannot begin, or an empty
  // string; then connected() or closed() follows.
  [[nodiscard]] std::string open(const RedisUrl& url);

  // Sends what the socket takes now, queues the rest, and leaves `bytes` empty. Must not be called while writing().
  // Returns 0, or a libuv error if the connection is broken; closed() does not follow.
  [[nodiscard]] int write(std::string& bytes);
  [[nodiscard]] bool writing() const noexcept;  // whether queued bytes are left

 private:
  struct Socket;
  struct CloseSocket {
    void operator()(Socket* socket) const noexcept;
  };

  std::string connect_unix(const std::string& path);
  std::string connect_tcp(const RedisUrl& url);
  std::string connect_next(int error);
  void connection_attempted(int status);

  uv_loop_t* loop_;
  AddressLookup& lookup_;
  Listener& listener_;
  std::unique_ptr<Socket, CloseSocket> socket_;
  AddressLookup::Addresses addresses_{nullptr, &::freeaddrinfo};
  addrinfo* next_address_ = nullptr;
};

}  // namespace pronghorn::worker
