// One byte stream to a Redis server, over TCP, with TLS or without, or a Unix socket.
//
// Why not hiredis' asynchronous context: it resolves names with a blocking getaddrinfo() (an unreachable name server
// would stop the whole worker), aborts the process when a server sends a reply without a command, and allocates for
// every command. We use only the parser of hiredis; see reply_reader.h.
#pragma once

#include <uv.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/state/redis/link/address_lookup.h"
#include "worker/state/redis/link/redis_target.h"
#include "worker/tls/client/client_session.h"

namespace pronghorn::worker {

// Context:   loop thread. The process must ignore SIGPIPE.
// Ownership: may be destroyed at any time, also from within its listener's functions; the listener is not called
//            afterwards. The loop must turn once more to free the handles.
class RedisConnection {
 public:
  // Why it was closed: `broken` may be mended by another attempt; `misconfigured` only by another configuration, here or
  // of the server.
  enum class Cause { broken, misconfigured };

  // Called from the loop. After closed() the connection can only be destroyed.
  class Listener {
   public:
    virtual void connected() = 0;  // with TLS: the server has proved who it is
    virtual void received(std::string_view bytes) = 0;
    virtual void writable() = 0;  // the socket took all bytes of the last write()
    virtual void closed(const std::string& reason, Cause cause) = 0;

   protected:
    ~Listener() = default;
  };

  // `lookup` must outlive the connection.
  RedisConnection(uv_loop_t* loop, AddressLookup& lookup, Listener& listener) noexcept;
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;
  ~RedisConnection();

  // Tries the addresses of the host in turn until one accepts. Call it once. Returns why it cannot begin, or an empty
  // string; then connected() or closed() follows. Unix sockets never use TLS.
  [[nodiscard]] std::string open(const RedisTarget& target, const LinkSettings& settings);

  // Sends what the socket takes now, queues the rest, and leaves `bytes` empty. Must not be called while writing().
  // Returns 0, or a libuv error if the connection is broken; closed() does not follow.
  [[nodiscard]] int write(std::string& bytes);
  [[nodiscard]] bool writing() const noexcept;  // whether queued bytes are left

  // What an owner says who gives up waiting for connected() after `waited`.
  [[nodiscard]] std::string overdue(std::chrono::milliseconds waited) const;

 private:
  struct Socket;
  struct CloseSocket {
    void operator()(Socket* socket) const noexcept;
  };

  std::string connect_unix(const std::string& path);
  std::string connect_tcp(const RedisUrl& url);
  std::string connect_next(int error);
  void connection_attempted(int status);
  void opened();
  [[nodiscard]] int send(std::string& bytes);
  void sent(int status);
  void received(Socket& socket, std::string_view bytes);
  void received_tls(Socket& socket, std::string_view ciphertext);
  void closed_by_server(int error);
  void failed_tls();

  uv_loop_t* loop_;
  AddressLookup& lookup_;
  Listener& listener_;
  std::shared_ptr<const TlsClientContext> tls_context_;
  std::string tls_name_;
  std::optional<TlsClientSession> tls_;  // empty: the connection is plain, or not open yet
  std::unique_ptr<char[]> plaintext_;    // with TLS: kPlaintext bytes
  std::unique_ptr<Socket, CloseSocket> socket_;
  AddressLookup::Addresses addresses_{nullptr, &::freeaddrinfo};
  addrinfo* next_address_ = nullptr;
};

}  // namespace pronghorn::worker
