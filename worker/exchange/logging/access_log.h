// One line per request, to standard output or a file, in the format of the option access_log_format.
//
// Context: loop thread. Lines are gathered and written at the end of each turn of the loop; writing never blocks
//          (common/line_writer.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config/access_log_pattern.h"
#include "common/config/config.h"
#include "common/line_writer.h"

namespace pronghorn::detail {
class Exchange;
}

namespace pronghorn::worker {

using pronghorn::detail::Exchange;

// The time of a line, as text that is made once a second.
struct AccessLogTime {
  std::int64_t second = -1;  // since 1970
  std::string iso = {};      // 2026-11-22T12:04:46
  std::string common = {};   // 22/Nov/2026:12:04:46
};

// Gathers lines and writes them at the end of each turn of the loop.
//
// Context: loop thread.
class AccessLog {
 public:
  // `unwritten`: counts the lines that would be lost if the process ended now. Null: this process only tries the log,
  // and a file that cannot be opened throws std::runtime_error; a worker must serve all the same, so its lines then go
  // to standard output. Throws std::invalid_argument if the format is invalid.
  explicit AccessLog(const Config& config, std::atomic<std::uint64_t>* unwritten = nullptr);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();

  [[nodiscard]] bool enabled() const noexcept { return writer_.has_value(); }
  // `bytes` is the size of the response with its head.
  void add(Exchange& exchange, int status, std::uint64_t bytes, std::uint64_t microseconds);
  // Whether a request took long enough to be looked at: warn_if_slow() does nothing about others.
  [[nodiscard]] bool is_long(std::uint64_t microseconds) const noexcept { return microseconds >= long_us_; }
  // Logs a warning if the request took longer than slow_request. Independent of the access log. `status` may be one of
  // those of lost requests: see record_lost_request().
  void warn_if_slow(Exchange& exchange, int status, std::uint64_t microseconds) const {
    if (microseconds >= slow_us_) warn_slow(exchange, status, microseconds);
  }
  // Writes what was gathered, as far as the destination takes it now. Logs a warning after lines were dropped.
  void flush() noexcept {
    if (lines_.empty() && (!writer_ || !writer_->pending())) return;
    write();
  }
  // After a rotation. Keeps the old file if the new one cannot be opened.
  void reopen() noexcept;

  // Lines that were dropped since the last call.
  [[nodiscard]] std::uint64_t take_dropped() noexcept;

 private:
  enum class Format : std::uint8_t { text, json, pattern };
  void write() noexcept;
  void tell_unwritten() noexcept;
  static void warn_slow(Exchange& exchange, int status, std::uint64_t microseconds);

  std::string path_;
  std::atomic<std::uint64_t>* unwritten_;
  std::uint64_t slow_us_;
  std::uint64_t long_us_;
  Format format_ = Format::text;
  std::vector<AccessLogPiece> pattern_;
  std::optional<LineWriter> writer_;
  std::string lines_;
  std::uint64_t gathered_ = 0;  // in lines_
  AccessLogTime time_;
  std::uint64_t reported_ = 0;  // of the dropped lines, in the log
  std::uint64_t taken_ = 0;     // of the dropped lines, by take_dropped()
};

}  // namespace pronghorn::worker
