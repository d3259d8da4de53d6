#include "supervisor/redis/redis_probe.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "supervisor/listen/socket_address.h"

namespace pronghorn::supervisor {

std::chrono::milliseconds RedisProbe::look(std::uint64_t now) {
  const bool late = now - std::exchange(last_look_ms_, now) > kLateMs;
  const bool anew = waits_since_ms_ == 0 || late || answered();
  if (anew) waits_since_ms_ = now;
  // A PING that could not be sent is sent again; it has been due since then.
  if ((anew || !connection_) && !ask()) waits_since_ms_ = 0;
  return std::chrono::milliseconds(waits_since_ms_ == 0 ? 0 : now - waits_since_ms_);
}

// A connection that Redis has closed (too many clients, for example) is an answer too.
bool RedisProbe::answered() noexcept {
  if (!connection_) return false;
  std::array<char, 256> bytes{};
  bool any = false;
  for (;;) {
    const ssize_t size = ::recv(connection_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return any;
    any = true;
    if (size <= 0) {
      connection_.reset();
      return true;
    }
    is_serving_ = !std::string_view(bytes.data(), static_cast<std::size_t>(size)).starts_with("-LOADING");
  }
}

// False if this process has no means to ask. (A queue of connections that is full is no answer.)
bool RedisProbe::ask() noexcept {
  if (!connection_) {
    const SocketAddress address = unix_address(socket_);
    connection_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!connection_) return false;
    if (::connect(connection_.get(), address.get(), address.size) != 0) {
      connection_.reset();
      return true;
    }
  }
  constexpr std::string_view kPing = "PING\r\n";
  if (::send(connection_.get(), kPing.data(), kPing.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) connection_.reset();
  return true;
}

void RedisProbe::reset() noexcept {
  connection_.reset();
  waits_since_ms_ = 0;
  is_serving_ = false;
}

}  // namespace pronghorn::supervisor
