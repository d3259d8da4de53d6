// The control socket, where commands such as `pronghorn status` and `pronghorn reload` talk to the supervisor.
//
// A client sends a line and gets a line back, then may send the next. A request whose client has left is not carried
// out: it may have waited while the supervisor was stopped, and its client has told that it failed. The socket has mode
// 0600: only the user who runs the server, and root, may connect.
//
// Context: supervisor, main thread. Nothing here blocks.
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
  // Takes the answer, without a line end. May be called at any later time, at most once. Does nothing when the client
  // or the ControlSocket is gone.
  using Reply = std::function<void(const std::string& line)>;
  // Called with each request, without its line end.
  using Handler = std::function<void(const std::string& line, Reply reply)>;

  // Throws ConfigurationError when the socket cannot be created at this path.
  ControlSocket(uv_loop_t* loop, const std::string& path, Handler handler);
  // Takes over a socket of an earlier image of this program.
  ControlSocket(uv_loop_t* loop, const std::string& path, int fd, Handler handler);
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;
  ~ControlSocket();

  [[nodiscard]] int fd() const noexcept { return socket_.fd(); }
  void remove_file() noexcept { socket_.remove_file(); }
  // Creates the socket again when its file was deleted, and returns whether it was. Connected clients stay. Throws like
  // the constructor; the old socket then stays.
  bool restore_file();

 private:
  static constexpr std::size_t kMaxRequest = 64 * 1024;
  static constexpr std::size_t kMaxUnsent = 8 * 1024 * 1024;  // a client that does not read its answers is dropped
  static constexpr std::size_t kMaxClients = 64;
  struct Client;

  void listen();
  void accept();
  void received(Client& client, const char* bytes, std::size_t size);
  void input_ended(Client& client);
  void reply(std::uint64_t id, const std::string& line);
  void written(std::uint64_t id);

  uv_loop_t* loop_ = nullptr;
  UnixSocket socket_;
  Handler handler_;
  std::unique_ptr<Poll> poll_;
  std::unique_ptr<Timer> resume_;  // of accepting, after a pause
  std::unordered_map<std::uint64_t, std::unique_ptr<Client>> clients_;
  std::uint64_t next_id_ = 1;
  std::shared_ptr<ControlSocket*> self_;  // shared with pending Replies; null once this is destroyed
};

}  // namespace pronghorn::supervisor
