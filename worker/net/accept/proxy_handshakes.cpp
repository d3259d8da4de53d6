#include "worker/net/accept/proxy_handshakes.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "common/log.h"
#include "common/uv_ptr.h"
#include "worker/net/accept/proxy_header.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kReportEveryMs = 60'000;

}  // namespace

struct ProxyHandshakes::Handshake {
  Handshake(ProxyHandshakes& all, int socket, Peer proxy)
      : owner(all), fd(socket), peer(std::move(proxy)), began_ms(monotonic_ms()) {}
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;
  ~Handshake() {
    poll.reset();  // libuv must stop watching the descriptor before it is closed
    if (fd >= 0) ::close(fd);
  }

  ProxyHandshakes& owner;
  int fd;
  Peer peer;  // the proxy
  std::uint64_t began_ms;
  std::string bytes;      // of the header, read off the socket
  UvPtr<uv_poll_t> poll;  // while it waits for more
  Waiting::iterator self;
};

ProxyHandshakes::ProxyHandshakes(uv_loop_t* loop, WorkerRow& row, Callbacks callbacks)
    : loop_(loop), row_(row), callbacks_(std::move(callbacks)) {}

ProxyHandshakes::~ProxyHandshakes() = default;

void ProxyHandshakes::begin(int fd, Peer peer) {
  waiting_.emplace_back(*this, fd, std::move(peer));
  const auto handshake = std::prev(waiting_.end());
  handshake->self = handshake;
  watch(handshake);
}

// Peeks first, so that nothing behind the header is read off the socket: that belongs to the connection.
void ProxyHandshakes::read(Waiting::iterator handshake) {
  std::array<char, kMaxProxyHeader> buffer;
  const ssize_t size = ::recv(handshake->fd, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return watch(handshake);
  if (size < 0 || (size == 0 && handshake->bytes.empty())) return drop(handshake);  // a port check, for example
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
  auto poll = std::make_unique<uv_poll_t>();
  if (uv_poll_init(loop_, poll.get(), handshake->fd) != 0) return drop(handshake);
  handshake->poll.reset(poll.release());
  handshake->poll->data = &*handshake;
  uv_poll_start(handshake->poll.get(), UV_READABLE, [](uv_poll_t* handle, int, int) {
    auto& ready = *static_cast<Handshake*>(handle->data);
    ready.owner.read(ready.self);
  });
}

void ProxyHandshakes::finish(Waiting::iterator handshake, const ProxyHeader& header) {
  const int fd = std::exchange(handshake->fd, -1);
  Peer peer = std::move(handshake->peer);
  // Never loopback: that would be the proxy's machine.
  if (!header.local) peer = {.client = header.source, .https = peer.https, .unix_socket = peer.unix_socket};
  waiting_.erase(handshake);  // libuv must stop watching the descriptor before the connection watches it
  callbacks_.done(fd, std::move(peer), header.size);
}

void ProxyHandshakes::refuse(Waiting::iterator handshake, const char* reason) {
  add(row_[Count::bad_requests]);
  ++refused_;
  if (const std::uint64_t now = monotonic_ms(); now >= next_report_ms_) {
    next_report_ms_ = now + kReportEveryMs;
    log_warning("closed a connection without a valid PROXY header; check the proxy, or proxy_protocol",
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
