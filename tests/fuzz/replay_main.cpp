// Runs a target once on each of its seeds, and on each file in the folder: every build tests what the fuzzer has found
// before. A folder that does not exist counts as empty. Usage: replay TARGET FOLDER
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/fuzz_target.h"

int main(int argc, char** argv) {
  using pronghorn::fuzz::Target;
  pronghorn::fuzz::require(argc == 3, "the arguments are TARGET FOLDER");
  const std::vector<Target>& targets = pronghorn::fuzz::targets();
  const auto target = std::ranges::find(targets, argv[1], &Target::name);
  pronghorn::fuzz::require(target != targets.end(), "the target exists");
  for (const std::string& seed : target->seeds()) target->fuzz(seed);
  if (!std::filesystem::exists(argv[2])) return 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[2])) {
    std::fprintf(stderr, "%s\n", entry.path().c_str());  // the last one printed is the one that failed
    std::ifstream file(entry.path(), std::ios::binary);
    target->fuzz(std::string(std::istreambuf_iterator<char>(file), {}));
  }
}
