// A private copy of the application's file for each generation, so that whatever happens to the file (overwritten in
// place, replaced, deleted) neither breaks running workers nor keeps a generation from being started again.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "supervisor/system/fd.h"

namespace pronghorn::supervisor {

// Owner of one copy: the file is deleted with it. Workers that have loaded it are not affected by that.
class AppCopy {
 public:
  // Takes over a file that is there, at BASE/apps/NAME. `option`, a literal, names the option that BASE is from.
  AppCopy(std::string path, const char* option) noexcept;
  AppCopy(const AppCopy&) = delete;
  AppCopy& operator=(const AppCopy&) = delete;
  ~AppCopy();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  // To be called before each start of a worker that loads the copy. Cleaners of temporary files and logind delete what
  // is below their directories: a file that is gone, or another one now, is written again under the same path from our
  // descriptor, with a warning in the log. One lstat() when it is there. The error is one line: the worker should not
  // be started now, and a later call can succeed.
  [[nodiscard]] std::expected<void, std::string> restore() const;

 private:
  std::string path_;
  const char* option_;
  mutable Fd file_;  // keeps the bytes while no name does; of the file at path_, also after restore()
};

// Copies config.app to `apps/PID.GENERATION-NAME` in runtime_dir, or in data_dir where programs may not be run from the
// former (a /run that is mounted noexec), and writes that path to config.app_file. There it makes the directory, and
// deletes what servers that were killed have left.
//
// Null, with app_file empty: the file is used in place. What is not a regular file is not read at all: a FIFO or a
// device could hold us up for ever, and the process that loads it says what is wrong. A program with an application of
// its own has none to copy. One that names $ORIGIN or imports dladdr finds libraries or files beside itself, and a copy
// would not. Both directories can be unusable or full. In the latter two cases one line in the log says so, and that
// overwriting the file or going back to it is not safe.
[[nodiscard]] std::shared_ptr<const AppCopy> copy_app(Config& config, std::uint32_t generation);

// After the supervisor's program was replaced: the copy that the earlier image made for this configuration. Null: none.
[[nodiscard]] std::shared_ptr<const AppCopy> adopt_app_copy(const Config& config);

}  // namespace pronghorn::supervisor
