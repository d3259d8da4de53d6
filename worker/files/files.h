// Serves static files below one folder, for App::serve_files().
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
  // Throws std::invalid_argument if the folder cannot be opened, or cache_control is not a valid field value.
  FileServer(const std::string& directory, FilesOptions options);

  // Answers GET and HEAD on a route that ends in {path...}. Throws HttpError: 400 for a malformed path; 404 for files
  // that do not exist, are unreadable or must not be served (dotfiles, devices, anything outside the folder); 503 if
  // the process or the system has run out of descriptors or memory. Throws std::system_error for other failures.
  [[nodiscard]] Response serve(const Request& request);

  // Redirects (301) to the request's path with a slash appended.
  [[nodiscard]] static Response redirect_to_folder(const Request& request);

 private:
  struct Opened;
  // Null if the path is a folder.
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
