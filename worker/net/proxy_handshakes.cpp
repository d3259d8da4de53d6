#include "worker/net/proxy_handshakes.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "common/log.h"
#include "worker/net/proxy_header.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kReportEveryMs = 60'000;

}  // namespace

struct ProxyHandshakes::Handshake {
  Handshake(ProxyHandshakes& all, int socket, bool unix_socket, Peer proxy)
      : owner(all), fd(socket), is_unix(unix_socket), peer(std::move(proxy)), began_ms(monotonic_ms()) {}
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;
  ~Handshake() {
    if (poll != nullptr) {
      uv_close(reinterpret_cast<uv_handle_t*>(poll),
               [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
    }
    if (fd >= 0) ::close(fd);
  }

  ProxyHandshakes& owner;
  int fd;
  bool is_unix;
  Peer peer;  // the proxy
  std::uint64_t began_ms;
  std::string bytes;          // of the header, taken off the socket
  uv_poll_t* poll = nullptr;  // while it waits for more
  Waiting::iterator self;
};

ProxyHandshakes::ProxyHandshakes(uv_loop_t* loop, WorkerRow& row, Callbacks callbacks)
    : loop_(loop), row_(row), callbacks_(std::move(callbacks)) {}

ProxyHandshakes::~ProxyHandshakes() = default;

void ProxyHandshakes::begin(int fd, bool is_unix, Peer peer) {
  waiting_.emplace_back(*this, fd, is_unix, std::move(peer));
  const auto handshake = std::prev(waiting_.end());
  handshake->self = handshake;
  watch(handshake);
}

// Peeks first, so that nothing behind the header is taken off the socket: that is the connection's.
void ProxyHandshakes::read(Waiting::iterator handshake) {
  std::array<char, kMaxProxyHeader> buffer;
  const ssize_t size = ::recv(handshake->fd, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return watch(handshake);
  if (size < 0 || (size == 0 && handshake->bytes.empty())) return drop(handshake);  // a port check, for one
  if (size == 0) return refuse(handshake, "an incomplete PROXY header");
  const std::size_t before = handshake->bytes.size();
  handshake->bytes.append(buffer.data(), static_cast<std::size_t>(size));
  const ProxyHeader header = parse_proxy_header(handshake->bytes);
  if (header.state == ProxyHeader::State::malformed) return refuse(handshake, header.reason);
  const bool complete = header.state == ProxyHeader::State::complete;
  const std::size_t taken = complete ? header.size - before : static_cast<std::size_t>(size);
  if (::recv(handshake->fd, buffer.data(), taken, MSG_DONTWAIT) != static_cast<ssize_t>(taken)) return drop(handshake);
  add(row_[Count::bytes_in], taken);
  complete ? finish(handshake, header) : watch(handshake);
}

void ProxyHandshakes::watch(Waiting::iterator handshake) {
  if (handshake->poll != nullptr) return;
  handshake->poll = new uv_poll_t;
  if (uv_poll_init(loop_, handshake->poll, handshake->fd) != 0) {
    delete std::exchange(handshake->poll, nullptr);
    return drop(handshake);
  }
  handshake->poll->data = &*handshake;
  uv_poll_start(handshake->poll, UV_READABLE, [](uv_poll_t* poll, int, int) {
    auto& ready = *static_cast<Handshake*>(poll->data);
    ready.owner.read(ready.self);
  });
}

void ProxyHandshakes::finish(Waiting::iterator handshake, const ProxyHeader& header) {
  const int fd = std::exchange(handshake->fd, -1);
  const bool is_unix = handshake->is_unix;
  Peer peer = std::move(handshake->peer);
  if (!header.local) peer = {.client = header.source};  // loopback of the proxy's machine is not ours
  waiting_.erase(handshake);  // libuv lets go of the descriptor before the connection takes it
  callbacks_.done(fd, is_unix, std::move(peer));
}

void ProxyHandshakes::refuse(Waiting::iterator handshake, const char* reason) {
  add(row_[Count::bad_requests]);
  ++refused_;
  if (const std::uint64_t now = monotonic_ms(); now >= next_report_ms_) {
    next_report_ms_ = now + kReportEveryMs;
    log_warning("a connection without a valid PROXY header was closed (proxy_protocol)",
                {{"peer", handshake->peer.client.address}, {"reason", reason}, {"since_last_report", refused_}});
    refused_ = 0;
  }
  drop(handshake);
}

void ProxyHandshakes::drop(Waiting::iterator handshake) {
  waiting_.erase(handshake);
  callbacks_.closed();
}

void ProxyHandshakes::expire(std::uint64_t now_ms, Milliseconds limit) {
  if (limit.count() == 0) return;
  const auto allowed = static_cast<std::uint64_t>(limit.count());
  while (!waiting_.empty() && waiting_.front().began_ms + allowed <= now_ms) {
    add(row_[Count::timeouts]);
    drop(waiting_.begin());
  }
}

void ProxyHandshakes::close_all() noexcept { waiting_.clear(); }

}  // namespace pronghorn::worker
