#include "worker/process/descriptors.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace pronghorn::worker {

std::uint64_t open_descriptors() noexcept {
  struct stat facts{};
  if (::stat("/proc/self/fd", &facts) == 0 && facts.st_size > 0) return static_cast<std::uint64_t>(facts.st_size);
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  std::uint64_t entries = 0;
  while (::readdir(folder) != nullptr) ++entries;
  ::closedir(folder);
  return entries - 3;  // ".", ".." and the descriptor of the folder itself
}

std::uint64_t descriptor_limit() noexcept {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace pronghorn::worker
