#include "common/log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/crash_record.h"
#include "common/line_writer.h"
#include "common/log_format.h"

namespace pronghorn {
namespace {

// spdlog's own sinks block, and tear lines that several processes write to one file; LineWriter does neither.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // What the writer that was used so far has dropped, or does not get rid of now, is counted.
  void replace(std::unique_ptr<LineWriter> writer) noexcept {
    const std::lock_guard lock(mutex_);
    writer_->flush_now();
    dropped_before_ += writer_->dropped() + writer_->waiting();
    writer_ = std::move(writer);
  }
  void reopen() {
    const std::lock_guard lock(mutex_);
    writer_->reopen();
    tell_unwritten();
  }
  [[nodiscard]] std::string path() {
    const std::lock_guard lock(mutex_);
    return writer_->path();
  }
  void copy_to(LogRing* ring, std::atomic<std::uint64_t>* unwritten) noexcept {
    const std::lock_guard lock(mutex_);
    ring_ = ring;
    unwritten_ = unwritten;
  }
  void flush_pending() noexcept {
    const std::lock_guard lock(mutex_);
    writer_->flush();
    tell_unwritten();
  }
  [[nodiscard]] std::uint64_t take_dropped() noexcept {
    const std::lock_guard lock(mutex_);
    const std::uint64_t all = dropped_before_ + writer_->dropped();
    const std::uint64_t dropped = all - std::exchange(taken_, all);
    tell_unwritten();
    return dropped;
  }
  // Lines dropped since the last call, once the destination takes lines again; until then 0.
  [[nodiscard]] std::uint64_t take_unreported_drops() noexcept {
    const std::lock_guard lock(mutex_);
    if (!writer_->accepts()) return 0;
    const std::uint64_t all = dropped_before_ + writer_->dropped();
    return all - std::exchange(reported_, all);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& line) override {
    const std::string_view text(line.payload.data(), line.payload.size());
    if (ring_ != nullptr) ring_->append(text);
    writer_->add(text);
    writer_->flush();
    tell_unwritten();
  }
  void flush_() override {}

 private:
  void tell_unwritten() noexcept {
    if (unwritten_ == nullptr) return;
    unwritten_->store(writer_->waiting() + dropped_before_ + writer_->dropped() - taken_, std::memory_order_relaxed);
  }

  std::unique_ptr<LineWriter> writer_ = std::make_unique<LineWriter>("-", STDERR_FILENO);
  LogRing* ring_ = nullptr;
  std::atomic<std::uint64_t>* unwritten_ = nullptr;
  std::uint64_t dropped_before_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t reported_ = 0;
};

struct Log {
  std::shared_ptr<LineSink> sink = std::make_shared<LineSink>();
  spdlog::logger logger{"pronghorn", sink};
  std::string process = "pronghorn";
  bool json = false;
  bool colour = false;
  bool journal = false;  // lines begin with their priority: sd-daemon(3)
};

// Never destroyed: destructors of other objects may still log.
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

std::unique_ptr<LineWriter> open_writer(const std::string& path) {
  try {
    return std::make_unique<LineWriter>(path, STDERR_FILENO);
  } catch (const std::system_error& error) {
    throw std::runtime_error(fmt::format("log_file {}: {}", path, error.code().message()));
  }
}

// systemd names the device and inode of the journal's stream, so that a redirected standard error is told apart.
bool writes_to_journal(const LogOptions& options) {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat facts{};
  return options.file == "-" && stream != nullptr && ::fstat(STDERR_FILENO, &facts) == 0 &&
         fmt::format("{}:{}", facts.st_dev, facts.st_ino) == stream;
}

std::string_view journal_priority(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return "<7>";
    case LogLevel::info:
      return "<6>";
    case LogLevel::warning:
      return "<4>";
    case LogLevel::error:
      break;
  }
  return "<3>";
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
  auto writer = open_writer(options.file);
  Log& log = the_log();
  log.sink->replace(std::move(writer));
  log.logger.set_level(spdlog_level(level));
  log.json = options.format == "json";
  log.colour = wants_colour(options);
  log.journal = writes_to_journal(options);
  if (!options.process.empty()) log.process = options.process;
}

void copy_log_to(LogRing* ring, std::atomic<std::uint64_t>* unwritten) noexcept {
  the_log().sink->copy_to(ring, unwritten);
}

void reopen_log() noexcept {
  try {
    the_log().sink->reopen();
  } catch (const std::exception& error) {
    log_error("cannot reopen the log: still writing to the old file; check its folder",
              {{"file", the_log().sink->path()}, {"reason", error.what()}});
  }
}

void set_log_level(const std::string& name) { the_log().logger.set_level(spdlog_level(parse_level(name))); }

void change_log_level(const std::string& name) {
  try {
    set_log_level(name);
  } catch (const std::exception& error) {
    log_warning(error.what());
  }
}

void flush_log() noexcept { the_log().sink->flush_pending(); }

std::uint64_t take_dropped_log_lines() noexcept { return the_log().sink->take_dropped(); }

void write_log(LogLevel level, std::string_view message, const LogField* fields, std::size_t count) noexcept {
  try {
    Log& log = the_log();
    const spdlog::level::level_enum severity = spdlog_level(level);
    if (!log.logger.should_log(severity)) return;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const std::string time = rfc3339(now.tv_sec, static_cast<int>(now.tv_nsec / 1'000'000));
    const LogEvent event{time, level, log.process, ::getpid(), message, fields, count};
    std::string line = log.json ? log_line_json(event) : log_line_text(event, log.colour);
    if (log.journal) line.insert(0, journal_priority(level));
    log.logger.log(severity, spdlog::string_view_t(line.data(), line.size()));
    if (const std::uint64_t lost = log.sink->take_unreported_drops(); lost != 0) {
      log_warning("log lines were dropped: their destination did not accept them in time", {{"lines", lost}});
    }
  } catch (...) {  // out of memory: better to lose a line than to stop
  }
}

}  // namespace pronghorn
