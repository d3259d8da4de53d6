// Reads the files of a certificate.
#pragma once

#include <chrono>
#include <exception>
#include <string>
#include <thread>

#include "supervisor/system/read_privilege.h"

namespace pronghorn::supervisor {

inline constexpr std::size_t kMaxPemFile = std::size_t{4} << 20;  // bytes

// The content of a regular file. A file that changes while it is read is read again. Throws std::runtime_error with one
// line that begins with the path.
//
// Context: supervisor, main thread. Blocks for the time that the file system takes; never on a FIFO or a device.
[[nodiscard]] std::string read_pem_file(const std::string& path);

// The same; empty if there is no file.
[[nodiscard]] std::string read_pem_file_if_any(const std::string& path);

// Calls `read`, which reads files that must fit each other, and calls it again if it throws, up to three times within
// 200 ms: whoever renews a certificate writes its files one after the other. Files that only root can read are readable
// meanwhile, if the supervisor has kept that right.
//
// Context: supervisor, main thread. Blocks for that time.
auto read_fitting_files(auto read) {
  constexpr int kAttempts = 3;
  constexpr std::chrono::milliseconds kPause{100};
  const ReadPrivilege privilege;
  for (int attempt = 1;; ++attempt) {
    try {
      return read();
    } catch (const std::exception&) {
      if (attempt == kAttempts) throw;
      std::this_thread::sleep_for(kPause);
    }
  }
}

// Whether users other than owner and group may read it.
[[nodiscard]] bool is_readable_by_all(const std::string& path) noexcept;

}  // namespace pronghorn::supervisor
