// Static files below one folder, for App::serve_files.
//
// Context: loop thread. Opening and reading block the loop; that is accepted for local file systems.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "pronghorn/app.h"
#include "worker/files/file_cache.h"
#include "worker/files/folder.h"

namespace pronghorn::worker {

class FileServer {
 public:
  // Throws std::invalid_argument for a folder that cannot be opened, and a cache_control that is no field value.
  FileServer(const std::string& directory, FilesOptions options);

  // Answers GET and HEAD for a route that ends in {path...}. Throws HttpError: 400 and 404 for what is not there or not
  // to be shown (dotfiles, devices, what leads out), 503 when the process has no descriptor left.
  [[nodiscard]] Response serve(const Request& request);

  // 301 to the same path with a slash at its end.
  [[nodiscard]] static Response redirect_to_folder(const Request& request);

 private:
  struct Opened;
  // Null: it is a folder.
  [[nodiscard]] std::shared_ptr<const ServedFile> find(std::string_view raw_path,
                                                       std::chrono::steady_clock::time_point now);
  [[nodiscard]] std::shared_ptr<const ServedFile> load(const std::string& path);
  [[nodiscard]] Opened open(const std::string& path);
  void add_neighbours(ServedFile& served, const std::string& path);
  void render_fields(ServedFile& served) const;

  Folder folder_;
  FilesOptions options_;
  FileCache cache_;
};

}  // namespace pronghorn::worker
