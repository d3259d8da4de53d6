// The control socket: `pronghorn status`, `scale`, `reload` and `stop` talk to the supervisor here.
//
// A client sends one line of JSON and gets one line back, then may send the next. Only the user who runs the server,
// and root, may connect (mode 0600). Context: supervisor, main thread; nothing here blocks.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "supervisor/listen/unix_socket.h"
#include "supervisor/system/uv_handles.h"

namespace pronghorn::supervisor {

class ControlSocket {
 public:
  // Takes the answer without its line end. May be called at any later time, at most once; when the client has gone, or
  // this ControlSocket, nothing happens.
  using Reply = std::function<void(const std::string& line)>;
  // Gets each request without its line end.
  using Handler = std::function<void(const std::string& line, Reply reply)>;

  // Throws ConfigurationError when the path cannot be had.
  ControlSocket(uv_loop_t* loop, const std::string& path, Handler handler);
  // Takes over a socket of an earlier image of this program.
  ControlSocket(uv_loop_t* loop, const std::string& path, int fd, Handler handler);
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  ~ControlSocket();

  [[nodiscard]] int fd() const noexcept { return socket_.fd(); }
  void remove_file() noexcept { socket_.remove_file(); }
  // Listens anew when the socket's file has gone, which makes it unreachable; else does nothing. Clients stay
  // connected. Throws as the constructor; the old socket then stays.
  void restore_file();

 private:
  static constexpr std::size_t kMaxRequest = 64 * 1024;
  static constexpr std::size_t kMaxUnsent = 8 * 1024 * 1024;  // a client that takes no answers is dropped
  static constexpr std::size_t kMaxClients = 64;
  struct Client;

  void listen();
  void accept();
  void received(Client& client, const char* bytes, std::size_t size);
  void reply(std::uint64_t id, const std::string& line);

  uv_loop_t* loop_ = nullptr;
  UnixSocket socket_;
  Handler handler_;
  std::unique_ptr<Poll> poll_;
  std::unique_ptr<Timer> resume_;  // accepting, after it had to pause
  std::unordered_map<std::uint64_t, std::unique_ptr<Client>> clients_;
  std::uint64_t next_id_ = 1;
  std::shared_ptr<ControlSocket*> self_;  // shared with replies that are not given yet; null once we are gone
};

}  // namespace pronghorn::supervisor
