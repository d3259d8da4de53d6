// A private copy of the application's file for each generation. Whatever happens to the file itself (overwritten in
// place, replaced, deleted), workers keep running and the generation can be started again.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "common/fd.h"

namespace pronghorn::supervisor {

// Owns one copy: the destructor deletes the file. Workers that have loaded it are not affected.
class AppCopy {
 public:
  // Takes over an existing file, at BASE/apps/NAME. `option`, a literal, is the name of the option that gives BASE.
  AppCopy(std::string path, const char* option) noexcept;
  AppCopy(const AppCopy&) = delete;
  AppCopy& operator=(const AppCopy&) = delete;
  ~AppCopy();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  // Writes the file again, from our descriptor and with a warning in the log, when it was deleted or replaced: logind
  // and cleaners of temporary files do that. Call before each start of a worker that loads the copy; it costs one
  // lstat(). The error is one line: do not start the worker now; a later call can succeed.
  [[nodiscard]] std::expected<void, std::string> restore() const;

 private:
  std::string path_;
  const char* option_;
  mutable Fd file_;  // of the file at path_; keeps its content when the file is deleted
};

// Copies config.app to `apps/PID.GENERATION-NAME` in runtime_dir, or in data_dir when runtime_dir is mounted noexec,
// and stores that path in config.app_file. Creates the directory, and deletes the copies of servers that were killed.
//
// Returns null and leaves app_file empty when the file is used in place:
//  - There is no plugin: the program contains the application.
//  - The file is not a regular one. It is not even opened for reading, because a FIFO or a device could block; the
//    process that loads it reports the error.
//  - The file contains $ORIGIN or imports dladdr: it looks for libraries or files beside itself, and a copy would not
//    find them.
//  - Neither directory is usable.
// In the last two cases the log says so: overwriting the file, or a rollback, is then not safe.
[[nodiscard]] std::shared_ptr<const AppCopy> copy_app(Config& config, std::uint32_t generation);

// Takes over the copy that an earlier image of this program made for this configuration. Null: there is none.
[[nodiscard]] std::shared_ptr<const AppCopy> adopt_app_copy(const Config& config);

}  // namespace pronghorn::supervisor
