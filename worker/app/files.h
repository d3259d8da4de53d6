// Static files below one folder, for App::serve_files.
//
// Context: loop thread. Opening and reading attributes blocks the loop; that is accepted for local file systems.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "pronghorn/request.h"
#include "pronghorn/response.h"

namespace pronghorn::worker {

// Nothing outside the folder is ever opened: the kernel resolves the path beneath the folder's descriptor. Symbolic
// links that stay inside are followed (where the kernel has openat2, 5.6 and later; else none is).
class FileServer {
 public:
  // Keeps the folder open. Throws std::invalid_argument when it is none or cannot be opened.
  explicit FileServer(const std::string& directory);
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;
  ~FileServer();

  // Answers GET and HEAD for a route that ends in {path...}. Throws HttpError: 404 for what is not there or not to be
  // shown (dotfiles, devices, what leads out), 503 when the process has no descriptor left.
  [[nodiscard]] Response serve(const Request& request) const;

  // 301 to the same path with a slash at its end.
  [[nodiscard]] static Response redirect_to_folder(const Request& request);

 private:
  [[nodiscard]] int open_beneath(const std::string& path) const;

  int root_;
  bool has_openat2_;
};

// Parts of the above, for tests.

// The file's path below the folder; throws HttpError 404 for what can not be one. `raw` is still percent-encoded.
[[nodiscard]] std::string file_path(std::string_view raw);
// Opens what file_path() made below `folder` without following any symbolic link. A descriptor, or -1 and errno.
[[nodiscard]] int open_step_by_step(int folder, const std::string& path);
// By the extension; application/octet-stream for an unknown one.
[[nodiscard]] std::string_view content_type_of(std::string_view path) noexcept;

}  // namespace pronghorn::worker
