#include "worker/http/access_log.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include "common/log.h"
#include "worker/http/exchange.h"
#include "worker/http/status_text.h"

namespace pronghorn::worker {
namespace {

int open_file(const std::string& path) {
  if (path == "-") return ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

std::string escaped(std::string_view text) {
  std::string safe;
  append_json_escaped(safe, text);
  return safe;
}

}  // namespace

AccessLog::AccessLog(const Config& config) : path_(config.access_log), json_(config.log_format == "json") {
  if (path_ == "off" || path_.empty()) return;
  fd_ = open_file(path_);
  if (fd_ < 0) throw std::runtime_error(fmt::format("access_log {}: {}", path_, std::strerror(errno)));
}

AccessLog::~AccessLog() {
  flush();
  if (fd_ >= 0) ::close(fd_);
}

void AccessLog::add(Exchange& exchange, int status, std::uint64_t bytes, std::uint64_t microseconds) {
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto milliseconds = now.time_since_epoch().count() % 1000;
  const auto time = fmt::gmtime(std::chrono::system_clock::to_time_t(now));
  const RequestHead& head = exchange.head;
  const std::string_view address = exchange.client().address;
  auto out = std::back_inserter(lines_);
  if (json_) {
    fmt::format_to(out,
                   R"({{"time":"{:%Y-%m-%dT%H:%M:%S}.{:03}Z","client":"{}","method":"{}","target":"{}","route":"{}",)"
                   R"("status":{},"bytes":{},"duration_ms":{:.3f},"request_id":"{}","user_agent":"{}"}})"
                   "\n",
                   time, milliseconds, address, escaped(head.method), escaped(head.target), escaped(exchange.route),
                   status, bytes, static_cast<double>(microseconds) / 1000.0, exchange.id(),
                   escaped(head.find("user-agent").value_or("")));
  } else {
    fmt::format_to(out, "{:%Y-%m-%dT%H:%M:%S}.{:03}Z {} \"{} {}\" {} {} {:.3f}ms {}\n", time, milliseconds, address,
                   escaped(head.method), escaped(head.target), status, bytes,
                   static_cast<double>(microseconds) / 1000.0, exchange.id());
  }
}

void AccessLog::flush() noexcept {
  if (lines_.empty()) return;
  if (fd_ >= 0 && ::write(fd_, lines_.data(), lines_.size()) < 0) {
    // Nothing to be done that would not make it worse: a log must not stop requests.
  }
  lines_.clear();
}

void AccessLog::reopen() noexcept {
  if (fd_ < 0 || path_ == "-") return;
  flush();
  const int fd = open_file(path_);
  if (fd < 0) {
    log_warning("cannot reopen the access log, going on with the old file", {{"file", path_}});
    return;
  }
  ::close(fd_);
  fd_ = fd;
}

}  // namespace pronghorn::worker
