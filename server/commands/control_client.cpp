#include "server/commands/control_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/text/json_text.h"

namespace pronghorn::server {
namespace {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;

constexpr std::size_t kMaxAnswer = 16 << 20;
constexpr std::chrono::milliseconds kConnectLimit{10'000};
constexpr const char* kNoAnswer = "the server does not answer on its control socket; it may be stopped or overloaded";

// A server that accepts nothing has a full queue sooner or later: waits for a place in it, at most `limit`.
Fd connect_to(const std::string& path, std::chrono::milliseconds limit = kConnectLimit) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) throw ControlError(fmt::format("cannot create a socket: {}", std::strerror(errno)));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw ControlError(fmt::format("control socket {}: the path is too long", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const timeval patience{.tv_sec = limit.count() / 1000, .tv_usec = limit.count() % 1000 * 1000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return socket;
  if (errno == EAGAIN) throw ControlError(kNoAnswer);
  if (errno == EACCES) {
    throw ControlError(
        fmt::format("the control socket {} may not be opened: {}; run this as the server's user, or as root", path,
                    std::strerror(errno)));
  }
  const bool nobody = errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR;
  throw ControlError(fmt::format("no server answers at {}{}{}; start one, or name its socket with --control PATH", path,
                                 nobody ? "" : ": ", nobody ? "" : std::strerror(errno)));
}

void send_line(const Fd& socket, const std::string& line) {
  std::size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t count = ::send(socket.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw ControlError(fmt::format("the server closed the control connection: {}", std::strerror(errno)));
    sent += static_cast<std::size_t>(count);
  }
}

void wait_readable(const Fd& socket, const Deadline& deadline) {
  for (;;) {
    int timeout = -1;
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
      timeout = static_cast<int>(std::clamp<long long>(left, 0, 3'600'000));
    }
    pollfd waiting{.fd = socket.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, timeout);
    if (ready > 0) return;
    if (ready == 0 && Clock::now() >= *deadline) throw ControlError(kNoAnswer);
    if (ready < 0 && errno != EINTR)
      throw ControlError(fmt::format("cannot wait for the server: {}", std::strerror(errno)));
  }
}

std::string receive_line(const Fd& socket, const Deadline& deadline) {
  std::string line;
  std::array<char, 65'536> buffer{};
  while (line.size() < kMaxAnswer) {
    wait_readable(socket, deadline);
    const ssize_t count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw ControlError("the server closed the control connection without an answer");
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
    const auto end = bytes.find('\n');
    line += bytes.substr(0, end);
    if (end != std::string_view::npos) return line;
  }
  throw ControlError("the server's answer is too long");
}

}  // namespace

nlohmann::json ask_server(const std::string& path, const ControlRequest& request,
                          std::optional<std::chrono::milliseconds> limit) {
  const Deadline deadline = limit ? Deadline(Clock::now() + *limit) : std::nullopt;
  const Fd socket = connect_to(path, limit.value_or(kConnectLimit));
  nlohmann::json message{{"command", request.command}};
  if (!request.argument.empty()) message["argument"] = request.argument;
  if (request.wait) message["wait"] = true;
  send_line(socket, dump_json(message) + '\n');

  auto answer = try_parse_json(receive_line(socket, deadline));
  const auto ok = answer.is_object() ? answer.find("ok") : answer.end();
  if (!answer.is_object() || ok == answer.end() || !ok->is_boolean()) {
    throw ControlError(fmt::format("{}: the answer is not that of a pronghorn server", path));
  }
  if (ok->get<bool>()) return answer;
  const auto error = answer.find("error");
  throw ControlError(error != answer.end() && error->is_string() ? error->get<std::string>() : "the server refused");
}

ServerExit::ServerExit(const std::string& path) {
  const Fd socket = connect_to(path);
  ucred peer{};  // the process that listens, by its id in our own namespace
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) peer.pid = 0;
  pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
  if (!pidfd_) throw ControlError(fmt::format("cannot watch the server for its exit: {}", std::strerror(errno)));
}

void ServerExit::wait() const {
  pollfd exited{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  while (::poll(&exited, 1, -1) < 0 && errno == EINTR) {
  }
}

nlohmann::json ask_status(const std::string& path) {
  auto answer = ask_server(path, {.command = "status"});
  if (const auto status = answer.find("status"); status != answer.end()) return *status;
  answer.erase("ok");
  return answer;
}

}  // namespace pronghorn::server
