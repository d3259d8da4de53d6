// A file that is removed when it is no longer needed, such as an upload that is being examined.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

namespace detail {
struct TemporaryFileDescriptor;
}

// A new, empty file that only this user can read. The destructor removes it unless keep() was called. If the file
// system supports it (O_TMPFILE: ext4, XFS, Btrfs, tmpfs), the file has no name until keep(), so nothing is left behind
// if the worker is killed.
//
// Context: loop thread of a worker, or of a TestClient. The moved-from object may only be destroyed or assigned to.
// Errors:  failures of the file system throw std::system_error; if no handler catches it, the client gets 500.
class PRONGHORN_API TemporaryFile {
 public:
  // Creates the file in `directory`, which must exist. If `directory` is empty: in the directory that the environment
  // variable TMPDIR names, or in /tmp.
  explicit TemporaryFile(const std::string& directory = {});
  TemporaryFile(TemporaryFile&& other) noexcept = default;
  TemporaryFile& operator=(TemporaryFile&& other) noexcept;
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();

  // Appends `data` on a thread of the pool (see offload()), so that a slow disk does not block the loop. Await each
  // call before the next.
  [[nodiscard]] Task<void> write(std::string data);

  // A path under which this process, and others of the same user, can open the file while this object exists. If the
  // file has no name, the path is like "/proc/2102/fd/17". After keep() it is that call's `path`.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }  // bytes written

  // Moves the file to `path`, replacing a file of that name, and keeps it there. `path` must be on the same file system
  // as the file. Never build it from a client's text. Call at most once.
  void keep(const std::string& path);

 private:
  // Shared with a write() that is still running on the pool.
  std::shared_ptr<detail::TemporaryFileDescriptor> descriptor_;
  std::string path_;
  std::uint64_t size_ = 0;
  bool named_ = false;  // has an entry in a directory
  bool kept_ = false;
};

}  // namespace pronghorn
