#include "supervisor/system/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "common/log.h"

namespace pronghorn::supervisor {
namespace {

constexpr int kFirstPassedFd = 3;           // SD_LISTEN_FDS_START
constexpr std::size_t kWaitingLimit = 256;  // messages; each may hold a descriptor

std::optional<std::uint64_t> number(const char* variable) noexcept {
  const char* const text = std::getenv(variable);
  std::uint64_t value = 0;
  if (text == nullptr || *text == '\0') return std::nullopt;
  const char* const end = text + std::strlen(text);
  const auto [parsed, error] = std::from_chars(text, end, value);
  return error == std::errc{} && parsed == end ? std::optional(value) : std::nullopt;
}

bool is_ours(const char* pid_variable) noexcept {
  return number(pid_variable) == static_cast<std::uint64_t>(::getpid());
}

std::uint64_t monotonic_us() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

// A newline ends an assignment.
std::string one_line(std::string_view text) {
  std::string line(text);
  std::ranges::replace(line, '\n', ' ');
  return line;
}

}  // namespace

ServiceManager::ServiceManager() {
  const char* const address = std::getenv("NOTIFY_SOCKET");
  if (address == nullptr || (*address != '/' && *address != '@')) return;
  address_ = address;
  if (address_.size() >= sizeof(sockaddr_un::sun_path)) {
    log_warning("NOTIFY_SOCKET is too long for a Unix socket; the service manager is not notified");
    address_.clear();
    return;
  }
  if (address_.front() == '@') address_.front() = '\0';  // an abstract socket
  socket_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto watchdog_us = number("WATCHDOG_USEC");
  if (watchdog_us && (std::getenv("WATCHDOG_PID") == nullptr || is_ours("WATCHDOG_PID"))) {
    watchdog_period_ = std::chrono::milliseconds(std::max<std::uint64_t>(*watchdog_us / 2'000, 1));
  }
}

void ServiceManager::send_state(std::string_view assignment, std::string_view status) {
  status_ = status;
  send(fmt::format("{}\nSTATUS={}", assignment, one_line(status)));
}

void ServiceManager::ready(std::string_view status) { send_state("READY=1", status); }

void ServiceManager::reloading(std::string_view status) {
  send_state(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()), status);
}

void ServiceManager::stopping(std::string_view status) { send_state("STOPPING=1", status); }

void ServiceManager::status(std::string_view text) {
  if (text == status_) return;
  status_ = text;
  send("STATUS=" + one_line(text));
}

void ServiceManager::alive() {
  // Never queued: a sign of life from the past tells nothing.
  if (!address_.empty() && waiting_.empty()) static_cast<void>(send_now({"WATCHDOG=1", {}}));
}

void ServiceManager::keep(int fd, const std::string& name) {
  if (address_.empty()) return;
  // FDPOLL=0: a listening socket must stay in the store whatever its poll events say.
  send(fmt::format("FDSTORE=1\nFDPOLL=0\nFDNAME={}", name), Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)));
}

void ServiceManager::forget(const std::string& name) { send(fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name)); }

void ServiceManager::send(std::string text, Fd fd) {
  if (address_.empty()) return;
  flush();
  Message message{std::move(text), std::move(fd)};
  if (waiting_.empty() && send_now(message)) return;
  if (waiting_.size() < kWaitingLimit) waiting_.push_back(std::move(message));
}

void ServiceManager::flush() {
  while (!waiting_.empty() && send_now(waiting_.front())) waiting_.pop_front();
  if (waiting_.empty()) {
    told_ = false;
  } else if (!std::exchange(told_, true)) {
    log_warning("the service manager does not read its notify socket; notifications wait",
                {{"reason", std::strerror(errno)}});
  }
}

// False: try again later.
bool ServiceManager::send_now(const Message& message) noexcept {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  iovec bytes{const_cast<char*>(message.text.data()), message.text.size()};
  msghdr header{};
  header.msg_name = &to;
  header.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (message.fd) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = message.fd.get();
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  return ::sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

std::vector<PassedSocket> take_passed_sockets() {
  std::vector<PassedSocket> passed;
  const auto count = number("LISTEN_FDS");
  if (count && is_ours("LISTEN_PID")) {
    const char* const names = std::getenv("LISTEN_FDNAMES");
    std::string_view left = names == nullptr ? "" : names;
    for (int fd = kFirstPassedFd; fd < kFirstPassedFd + static_cast<int>(std::min<std::uint64_t>(*count, 65'536));
         ++fd) {
      const std::string_view name = left.substr(0, left.find(':'));
      left.remove_prefix(std::min(name.size() + 1, left.size()));
      if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) break;  // announced, but not there
      passed.push_back({std::string(name), Fd(fd)});
    }
  }
  for (const char* variable : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  return passed;
}

}  // namespace pronghorn::supervisor
