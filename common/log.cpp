#include "common/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <system_error>

#include "common/crash_record.h"
#include "common/log_format.h"

namespace pronghorn {
namespace {

// Writes each line with one write(2), which spdlog's own file sinks do not: processes share the file. What cannot be
// written (a full disk, a reader that left) is dropped, because serving goes on.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LineSink(int fd) noexcept : fd_(fd) {}
  LineSink(const LineSink&) = delete;
  LineSink& operator=(const LineSink&) = delete;
  ~LineSink() override { close_own(); }

  // Takes `fd` over; standard error is never closed.
  void replace(int fd) noexcept {
    const std::lock_guard lock(mutex_);
    close_own();
    fd_ = fd;
    torn_ = false;
  }

  void copy_to(LogRing* ring) noexcept {
    const std::lock_guard lock(mutex_);
    ring_ = ring;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& line) override {
    if (ring_ != nullptr) ring_->append({line.payload.data(), line.payload.size()});
    if (torn_ && ::write(fd_, "\n", 1) == 1) torn_ = false;  // what follows starts on a line of its own
    const char* next = line.payload.data();
    std::size_t left = line.payload.size();
    while (left > 0) {
      const ssize_t written = ::write(fd_, next, left);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        torn_ = torn_ || left != line.payload.size();
        return;
      }
      next += written;
      left -= static_cast<std::size_t>(written);
    }
  }
  void flush_() override {}

 private:
  void close_own() const noexcept {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }
  int fd_;
  LogRing* ring_ = nullptr;
  bool torn_ = false;  // the file ends in the middle of a line
};

struct Log {
  std::shared_ptr<LineSink> sink = std::make_shared<LineSink>(STDERR_FILENO);
  spdlog::logger logger{"pronghorn", sink};
  std::string process = "pronghorn";
  std::string file = "-";
  bool json = false;
  bool colour = false;
};

// Never destroyed: destructors of other objects may still write.
Log& the_log() {
  static Log* const log = new Log;
  return *log;
}

spdlog::level::level_enum spdlog_level(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

LogLevel parse_level(const std::string& name) {
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
    if (to_string(level) == name) return level;
  }
  throw std::runtime_error(fmt::format("log_level {}: use debug, info, warning or error", name));
}

int open_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
  if (fd < 0) {
    throw std::runtime_error(fmt::format("log_file {}: {}", path, std::generic_category().message(errno)));
  }
  return fd;
}

bool wants_colour(const LogOptions& options) noexcept {
  const char* const no_colour = std::getenv("NO_COLOR");  // https://no-color.org
  return options.format == "text" && options.file == "-" && ::isatty(STDERR_FILENO) == 1 &&
         (no_colour == nullptr || *no_colour == '\0');
}

}  // namespace

void open_log(const LogOptions& options) {
  if (options.format != "text" && options.format != "json") {
    throw std::runtime_error(fmt::format("log_format {}: use text or json", options.format));
  }
  const LogLevel level = parse_level(options.level);
  const int fd = options.file == "-" ? STDERR_FILENO : open_file(options.file);
  Log& log = the_log();
  log.sink->replace(fd);
  log.logger.set_level(spdlog_level(level));
  log.json = options.format == "json";
  log.colour = wants_colour(options);
  log.file = options.file;
  if (!options.process.empty()) log.process = options.process;
}

void copy_log_to(LogRing* ring) noexcept { the_log().sink->copy_to(ring); }

void reopen_log() noexcept {
  try {
    Log& log = the_log();
    if (log.file != "-") log.sink->replace(open_file(log.file));
  } catch (const std::exception& error) {
    log_error("cannot open the log again, writing to the old file", {{"reason", error.what()}});
  }
}

void write_log(LogLevel level, std::string_view message, const LogField* fields, std::size_t count) noexcept {
  try {
    Log& log = the_log();
    const spdlog::level::level_enum severity = spdlog_level(level);
    if (!log.logger.should_log(severity)) return;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const std::string time = rfc3339(now.tv_sec, static_cast<int>(now.tv_nsec / 1'000'000));
    const LogEvent event{time, level, log.process, ::getpid(), message, fields, count};
    const std::string line = log.json ? log_line_json(event) : log_line_text(event, log.colour);
    log.logger.log(severity, spdlog::string_view_t(line.data(), line.size()));
  } catch (...) {  // out of memory: a lost line is the smallest harm
  }
}

}  // namespace pronghorn
