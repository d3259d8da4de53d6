// What this process logs while the object lives.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>

#include "common/crash_record.h"
#include "common/log.h"

namespace pronghorn::test {

// One at a time. Keeps the last lines, as a crash report does.
class LogLines {
 public:
  LogLines() { copy_log_to(ring_.get()); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  ~LogLines() { copy_log_to(nullptr); }

  // Lines that contain `text`.
  [[nodiscard]] std::size_t with(std::string_view text) const {
    const auto lines = ring_->lines();
    return static_cast<std::size_t>(
        std::ranges::count_if(lines, [text](const auto& line) { return line.find(text) != line.npos; }));
  }

 private:
  std::unique_ptr<LogRing> ring_ = std::make_unique<LogRing>();
};

}  // namespace pronghorn::test
