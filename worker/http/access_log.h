// One line a request, to standard output or a file.
//
// Context: loop thread. Lines are gathered and written at the end of each turn of the loop.
#pragma once

#include <cstdint>
#include <string>

#include "common/config/config.h"

namespace pronghorn::worker {

class Exchange;

class AccessLog {
 public:
  // Throws std::runtime_error when the file of config.access_log cannot be opened.
  explicit AccessLog(const Config& config);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();

  [[nodiscard]] bool enabled() const noexcept { return fd_ >= 0; }
  void add(Exchange& exchange, int status, std::uint64_t bytes, std::uint64_t microseconds);
  // Writes what was gathered. What a full disk does not take is dropped: requests go on.
  void flush() noexcept;
  // After a rotation. Keeps the old file when the new one cannot be opened.
  void reopen() noexcept;

 private:
  std::string path_;
  bool json_;
  int fd_ = -1;
  std::string lines_;
};

}  // namespace pronghorn::worker
