// Writes the lines of a log to a file, pipe, terminal or socket without blocking the caller.
//
// What cannot be written now waits in a buffer of at most kMaxBuffered bytes; when that is full, new lines are dropped
// and counted. Lines are written whole: several processes may share the destination, and a line that a full disk
// truncates is removed from the file again. Only a write to a regular file may block, if its file system does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pronghorn {

// Context: any process; not thread-safe.
class LineWriter {
 public:
  static constexpr std::size_t kMaxBuffered = 256 * 1024;

  // `path` is a file (created with mode 0640), FIFO or device, or "-": then lines go to `standard_fd`, which stays
  // open. Throws std::system_error if it cannot be opened.
  LineWriter(std::string path, int standard_fd);
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;
  ~LineWriter();  // flushes once; drops the rest

  // Buffers whole lines, each with its newline.
  void add(std::string_view lines) noexcept;
  // Writes as much as the destination takes now. Call it again, later, while there are lines pending().
  void flush() noexcept;
  [[nodiscard]] bool pending() const noexcept { return sent_ < buffer_.size(); }
  // Does not wait for the time of the next attempt: for the end of the process.
  void flush_now() noexcept;

  // True if the destination has taken all lines so far, or takes lines again after it did not.
  [[nodiscard]] bool accepts() const noexcept { return !pending() && !abandoned_; }

  // Opens the path again, after a rotation. Throws std::system_error, and keeps the old file, if that fails.
  void reopen();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  // Lines that were dropped, ever.
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
  // Lines that the destination has not taken so far.
  [[nodiscard]] std::uint64_t waiting() const noexcept { return waiting_; }

 private:
  enum class Kind : std::uint8_t { file, stream, socket };

  struct Target {
    int fd;
    bool owned;
    bool nonblocking;
    Kind kind;
  };
  [[nodiscard]] static Target open_target(const std::string& path, int standard_fd);
  void close() noexcept;
  [[nodiscard]] std::string_view next_chunk() const noexcept;
  [[nodiscard]] long write_some(std::string_view chunk) const noexcept;
  void wrote_part(std::size_t written) noexcept;
  [[nodiscard]] bool take_back(std::string_view torn) const noexcept;
  void drop_pending() noexcept;

  std::string path_;
  int standard_fd_;
  Target target_;
  std::string buffer_;
  std::size_t sent_ = 0;        // bytes at the front of the buffer that are written
  std::uint64_t retry_ms_ = 0;  // no attempt before this moment
  std::uint64_t dropped_ = 0;
  std::uint64_t waiting_ = 0;
  bool abandoned_ = false;  // the last lines had no reader
};

}  // namespace pronghorn
