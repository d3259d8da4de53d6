// A folder from which files are opened by names that come from clients.
//
// Context: loop thread. Opening blocks the loop; that is accepted for local file systems.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace pronghorn::worker {

// Never opens anything outside the folder: the kernel resolves each path beneath the folder's descriptor (openat2,
// Linux 5.6). Symbolic links that stay inside are followed. Where openat2 is missing or forbidden by a seccomp filter,
// no symbolic link is followed.
class Folder {
 public:
  // Opens the folder. Throws std::invalid_argument if that fails. A relative path starts at the current directory.
  explicit Folder(const std::string& directory);
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();

  // If the path now leads to another folder (a symbolic link was switched to a new release), opens that one. Keeps the
  // present one if the path leads nowhere.
  void refresh() noexcept;

  // Opens a path made by relative_path() for reading, without blocking on FIFOs. Returns a descriptor, or -1 with
  // errno.
  [[nodiscard]] int open(const std::string& path) const noexcept;

 private:
  std::string directory_;  // absolute
  int root_;
  dev_t device_ = 0;  // of root_
  ino_t inode_ = 0;
  bool has_openat2_ = false;
};

// Turns `raw`, a percent-encoded path, into a path below a folder. Appends "index.html" to the path of a folder ("",
// "a/"). Throws HttpError: 400 for a malformed encoding; 404 for what cannot name a file (empty segments, "." and "..",
// NUL, encoded slashes) and for names that begin with a dot unless `dotfiles` is set.
[[nodiscard]] std::string relative_path(std::string_view raw, bool dotfiles);

// What Folder::open() does without openat2: follows no symbolic link. For tests.
[[nodiscard]] int open_step_by_step(int folder, const std::string& path) noexcept;

}  // namespace pronghorn::worker
