// Runs a target once on each of its seeds, and on each file in the folders named as arguments: every build tests what
// the fuzzer has found before. A folder that does not exist counts as empty.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/fuzz_target.h"

int main(int argc, char** argv) {
  using pronghorn::fuzz::fuzz;
  for (const std::string& seed : pronghorn::fuzz::seeds()) fuzz(seed);
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::exists(argv[i])) continue;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::fprintf(stderr, "%s\n", entry.path().c_str());  // the last one printed is the one that failed
      std::ifstream file(entry.path(), std::ios::binary);
      fuzz(std::string(std::istreambuf_iterator<char>(file), {}));
    }
  }
}
