// A file that exists until nobody needs it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

// A new empty file that only this user may read, removed by the destructor unless it is kept. A worker that is killed
// leaves it behind. Errors of the file system throw std::system_error, which a handler may leave to be a 500.
//
// Context: loop thread of a worker, or of a TestClient.
class PRONGHORN_API TemporaryFile {
 public:
  // In `directory`, which must exist; empty: that of the environment variable TMPDIR, else /tmp.
  explicit TemporaryFile(const std::string& directory = {});
  TemporaryFile(TemporaryFile&& other) noexcept = default;
  TemporaryFile& operator=(TemporaryFile&& other) noexcept;
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();

  // Appends, on the thread pool (see offload()): a slow disk does not hold up the loop. One call at a time.
  [[nodiscard]] Task<void> write(std::string data);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }  // bytes written

  // Moves it to `path`, replacing what is there; from then on it is not removed. `path` is the application's own, never
  // what a client has sent, and on the same file system as the file.
  void keep(const std::string& path);

 private:
  struct Descriptor;
  std::shared_ptr<Descriptor> descriptor_;  // shared with a write that outlives us on the thread pool
  std::string path_;
  std::uint64_t size_ = 0;
  bool kept_ = false;
};

}  // namespace pronghorn
