#include "supervisor/control/control_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

namespace pronghorn::supervisor {

namespace {

constexpr int kBacklog = 16;
const SocketFile kFile{.mode = 0600, .owner = {}};

// Whoever has closed its socket waits for no answer. A client that has only shut down its sending side does.
bool has_left(uv_pipe_t* pipe) noexcept {
  int fd = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(pipe), &fd) != 0) return true;
  pollfd socket{.fd = fd, .events = 0, .revents = 0};
  return ::poll(&socket, 1, 0) == 1 && (socket.revents & POLLHUP) != 0;
}

}  // namespace

struct ControlSocket::Client {
  ControlSocket& owner;
  std::uint64_t id;
  UvPtr<uv_pipe_t> pipe;
  std::array<char, 4096> buffer{};
  std::string line{};
  bool busy = false;     // a request is being answered; the next one waits
  bool ended = false;    // it sends no more, and leaves when the answers are written
  bool handing = false;  // the handler runs; if it replies immediately, received() continues by itself
};

ControlSocket::ControlSocket(uv_loop_t* loop, const std::string& path, Handler handler)
    : loop_(loop),
      socket_(path, kFile, kBacklog),
      handler_(std::move(handler)),
      self_(std::make_shared<ControlSocket*>(this)) {
  listen();
}

ControlSocket::ControlSocket(uv_loop_t* loop, const std::string& path, int fd, Handler handler)
    : loop_(loop), socket_(path, Fd(fd)), handler_(std::move(handler)), self_(std::make_shared<ControlSocket*>(this)) {
  listen();
}

ControlSocket::~ControlSocket() { *self_ = nullptr; }

void ControlSocket::listen() {
  poll_ = std::make_unique<Poll>(loop_, socket_.fd(), [this] { accept(); });
  poll_->start();
  resume_ = std::make_unique<Timer>(loop_, [this] { poll_->start(); });
}

bool ControlSocket::restore_file() {
  if (file_id(socket_.path())) return false;
  UnixSocket fresh(socket_.path(), kFile, kBacklog);
  poll_.reset();  // before its descriptor is closed
  socket_ = std::move(fresh);
  listen();
  return true;
}

void ControlSocket::accept() {
  Fd fd(::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd && errno != EAGAIN) {  // out of descriptors: the client stays in the queue, so polling on would spin
    poll_->stop();
    resume_->start(std::chrono::milliseconds(500));
  }
  if (!fd || clients_.size() >= kMaxClients) return;
  auto pipe = std::make_unique<uv_pipe_t>();
  if (uv_pipe_init(loop_, pipe.get(), 0) != 0) return;
  auto client = std::make_unique<Client>(*this, next_id_++, UvPtr<uv_pipe_t>(pipe.release()));
  if (uv_pipe_open(client->pipe.get(), fd.get()) != 0) return;
  static_cast<void>(fd.release());
  client->pipe->data = client.get();
  uv_read_start(
      reinterpret_cast<uv_stream_t*>(client->pipe.get()),
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        auto* self = static_cast<Client*>(handle->data);
        *buffer = self == nullptr ? uv_buf_init(nullptr, 0) : uv_buf_init(self->buffer.data(), sizeof self->buffer);
      },
      [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
        auto* self = static_cast<Client*>(stream->data);
        if (self == nullptr || size == 0) return;
        if (size < 0) {
          self->owner.input_ended(*self);
        } else {
          self->owner.received(*self, buffer->base, static_cast<std::size_t>(size));
        }
      });
  clients_[client->id] = std::move(client);
}

void ControlSocket::input_ended(Client& client) {
  client.ended = true;
  const bool waits = client.busy || client.pipe->write_queue_size > 0;
  // Frees the client; libuv closes the pipe on a later turn.
  if (!waits || has_left(client.pipe.get())) clients_.erase(client.id);
}

void ControlSocket::written(std::uint64_t id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  const Client& client = *found->second;
  if (client.ended && !client.busy && client.pipe->write_queue_size == 0) clients_.erase(found);
}

void ControlSocket::received(Client& client, const char* bytes, std::size_t size) {
  const std::uint64_t id = client.id;
  client.line.append(bytes, size);
  // A handler may reply at once, which can drop the client: look it up for each line.
  for (auto found = clients_.find(id); found != clients_.end() && !found->second->busy; found = clients_.find(id)) {
    Client& current = *found->second;
    if (has_left(current.pipe.get())) {
      clients_.erase(found);
      return;
    }
    const std::size_t end = current.line.find('\n');
    if (end == std::string::npos || end > kMaxRequest) break;
    const std::string line = current.line.substr(0, end);
    current.line.erase(0, end + 1);
    current.busy = current.handing = true;
    handler_(line, [self = self_, id](const std::string& answer) {
      if (*self != nullptr) (*self)->reply(id, answer);
    });
    if (const auto still = clients_.find(id); still != clients_.end()) still->second->handing = false;
  }
  const auto found = clients_.find(id);
  if (found == clients_.end() || found->second->line.size() <= kMaxRequest) return;
  found->second->handing = true;  // no request follows this answer
  reply(id, R"({"ok":false,"error":"the request is longer than 64 KiB"})");
  clients_.erase(id);
}

void ControlSocket::reply(std::uint64_t id, const std::string& line) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = *found->second;
  client.busy = false;
  struct Write {
    uv_write_t request;
    std::string bytes;
    std::shared_ptr<ControlSocket*> owner;
    std::uint64_t id;
  };
  auto write = std::make_unique<Write>(Write{{}, line + "\n", self_, id});
  write->request.data = write.get();
  const uv_buf_t buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  auto* stream = reinterpret_cast<uv_stream_t*>(client.pipe.get());
  const int error = uv_write(&write->request, stream, &buffer, 1, [](uv_write_t* request, int) {
    const std::unique_ptr<Write> written(static_cast<Write*>(request->data));
    if (*written->owner != nullptr) (*written->owner)->written(written->id);
  });
  if (error == 0) static_cast<void>(write.release());
  if (error != 0 || stream->write_queue_size > kMaxUnsent) {
    clients_.erase(id);
  } else if (!client.handing) {
    received(client, "", 0);  // requests that came meanwhile
  }
}

}  // namespace pronghorn::supervisor
