#include "supervisor/upgrade/program_files.h"

#include <dlfcn.h>
#include <sys/stat.h>

namespace pronghorn::supervisor {

ProgramFiles::ProgramFiles(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (const auto identity = identity_of(path)) files_.push_back({.path = path, .identity = *identity});
  }
}

// A path without a file is between two versions: the next look sees the new one.
std::optional<std::string> ProgramFiles::replaced() {
  for (File& file : files_) {
    const auto now = identity_of(file.path);
    if (!now || *now == file.identity) continue;
    file.identity = *now;
    return file.path;
  }
  return std::nullopt;
}

std::optional<ProgramFiles::Identity> ProgramFiles::identity_of(const std::string& path) noexcept {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return std::nullopt;
  return Identity{.device = facts.st_dev,
                  .inode = facts.st_ino,
                  .size = facts.st_size,
                  .modified_ns = facts.st_mtim.tv_sec * 1'000'000'000LL + facts.st_mtim.tv_nsec};
}

std::vector<std::string> own_files(const std::string& program) {
  std::vector<std::string> files{program};
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&own_files), &info) != 0 && info.dli_fname != nullptr &&
      program != info.dli_fname) {
    files.emplace_back(info.dli_fname);
  }
  return files;
}

}  // namespace pronghorn::supervisor
