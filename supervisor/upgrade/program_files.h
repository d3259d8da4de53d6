// Detects that the files of this program were replaced on disk while it runs: new workers then are of another build
// than the supervisor, and may not work with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pronghorn::supervisor {

// Context: supervisor, main thread.
class ProgramFiles {
 public:
  // Remembers the files at these paths as they are now. Paths without a file are ignored.
  explicit ProgramFiles(const std::vector<std::string>& paths);

  // Call once a second. Returns the path of a file that is no longer the remembered one, once for each new file.
  [[nodiscard]] std::optional<std::string> replaced();

 private:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    std::int64_t size = 0;
    std::int64_t modified_ns = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  struct File {
    std::string path;
    Identity identity;
  };

  [[nodiscard]] static std::optional<Identity> identity_of(const std::string& path) noexcept;

  std::vector<File> files_;
};

// The files that this program's code is in: `program`, and libpronghorn.so when that is not linked into it.
[[nodiscard]] std::vector<std::string> own_files(const std::string& program);

}  // namespace pronghorn::supervisor
