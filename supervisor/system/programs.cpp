#include "supervisor/system/programs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace pronghorn::supervisor {
namespace {

std::string problem_of(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return errno == ENOENT ? "not found" : std::strerror(errno);
  if (!S_ISREG(facts.st_mode)) return "it is not a regular file";
  return ::access(path.c_str(), X_OK) == 0 ? "" : std::strerror(errno);
}

}  // namespace

std::string why_not_runnable(const std::string& program) {
  if (program.find('/') != std::string::npos) return problem_of(program);
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  std::string problem = "not found";
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string here = problem_of((folder.empty() ? "." : folder) + "/" + program);
    if (here.empty()) return {};
    if (here != "not found" && problem == "not found") problem = here;
  }
  return problem;
}

}  // namespace pronghorn::supervisor
