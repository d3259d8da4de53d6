// One byte stream to a Redis server, over TCP or a Unix socket.
//
// Why not hiredis' asynchronous context: it resolves names with a blocking getaddrinfo() (a name server that is away
// would stop the whole worker), ends the process by assert() when a server sends a reply that nobody waits for, and
// costs an allocation a command. What is kept of hiredis is its parser; see reply_reader.h.
#pragma once

#include <uv.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/config/redis_url.h"

namespace pronghorn::worker {

// Context:   loop thread. The process ignores SIGPIPE.
// Ownership: may be destroyed at any time, from within its listener's functions too; nothing is called afterwards. The
//            loop must turn once more to free the handles.
class RedisConnection {
 public:
  // Called by the loop. After closed() the connection is of no more use.
  class Listener {
   public:
    virtual void connected() = 0;
    virtual void received(std::string_view bytes) = 0;
    virtual void writable() = 0;  // what write() had kept is written
    virtual void closed(const std::string& reason) = 0;

   protected:
    ~Listener() = default;
  };

  RedisConnection(uv_loop_t* loop, Listener& listener) noexcept;
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;
  ~RedisConnection();

  // Begins to connect to each address of the host in turn until one accepts. Called once. Returns why that cannot even
  // begin; empty: connected() or closed() follows.
  [[nodiscard]] std::string open(const RedisUrl& url);

  // Sends what it can at once and keeps the rest; leaves `bytes` empty. Not while writing(). 0, or a libuv error: the
  // connection is broken, and closed() does not follow.
  [[nodiscard]] int write(std::string& bytes);
  [[nodiscard]] bool writing() const noexcept;

 private:
  struct Socket;
  struct Lookup;
  struct CloseSocket {
    void operator()(Socket* socket) const noexcept;
  };

  std::string connect_unix(const std::string& path);
  std::string look_up(const RedisUrl& url);
  void looked_up(int status, addrinfo* addresses);
  void connect_next(int error);
  void connection_attempted(int status);

  uv_loop_t* loop_;
  Listener& listener_;
  std::unique_ptr<Socket, CloseSocket> socket_;
  Lookup* lookup_ = nullptr;  // freed by its callback
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses_{nullptr, uv_freeaddrinfo};
  addrinfo* next_address_ = nullptr;
};

}  // namespace pronghorn::worker
