#include "supervisor/system/programs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

namespace pronghorn::supervisor {
namespace {

std::string problem_of(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return errno == ENOENT ? "not found" : std::strerror(errno);
  if (!S_ISREG(facts.st_mode)) return "it is not a regular file";
  return ::access(path.c_str(), X_OK) == 0 ? "" : std::strerror(errno);
}

// In which order the system looks for the program.
std::vector<std::string> places_of(const std::string& program) {
  if (program.find('/') != std::string::npos) return {program};
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  std::vector<std::string> places;
  for (std::string folder; std::getline(folders, folder, ':');) {
    places.push_back((folder.empty() ? "." : folder) + "/" + program);
  }
  return places;
}

}  // namespace

std::string why_not_runnable(const std::string& program) {
  std::string problem = "not found";
  for (const std::string& place : places_of(program)) {
    const std::string here = problem_of(place);
    if (here.empty()) return {};
    if (here != "not found" && problem == "not found") problem = here;
  }
  return problem;
}

bool is_script(const std::string& program) {
  for (const std::string& place : places_of(program)) {
    if (!problem_of(place).empty()) continue;
    std::array<char, 2> begin{};
    std::ifstream(place, std::ios::binary).read(begin.data(), begin.size());
    return begin == std::array{'#', '!'};
  }
  return false;
}

}  // namespace pronghorn::supervisor
