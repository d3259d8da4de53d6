// A folder from which files are opened by names that come from clients.
//
// Context: loop thread. Opening blocks the loop; that is accepted for local file systems.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// Nothing outside the folder is ever opened: the kernel resolves the path beneath the folder's descriptor. Symbolic
// links that stay inside are followed (where the kernel has openat2, 5.6 and later, and a seccomp filter allows it;
// else none is).
class Folder {
 public:
  // Keeps the folder open. Throws std::invalid_argument when it is none or cannot be opened.
  explicit Folder(const std::string& directory);
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();

  // Opens what relative_path() made, for reading and without waiting for anything. A descriptor, or -1 and errno.
  [[nodiscard]] int open(const std::string& path) const noexcept;

 private:
  int root_;
  bool has_openat2_;
};

// The path below a folder that `raw`, a still percent-encoded path, names; "index.html" is added to the name of a
// folder ("", "a/"). Throws HttpError: 400 for a malformed encoding, 404 for what can not name a file: empty segments,
// "." and "..", NUL, encoded slashes, and names that begin with a dot unless `dotfiles`.
[[nodiscard]] std::string relative_path(std::string_view raw, bool dotfiles);

// The way of Folder::open() without openat2: follows no symbolic link at all. For tests.
[[nodiscard]] int open_step_by_step(int folder, const std::string& path) noexcept;

}  // namespace pronghorn::worker
