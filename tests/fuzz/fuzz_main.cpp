// The entry points of libFuzzer. With `--write-seeds=FOLDER` as the first argument the program only writes the target's
// seeds to that folder.
#include <cstdint>
#include <fstream>

#include "fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view kOption = "--write-seeds=";
  if (*argc < 2 || !std::string_view((*argv)[1]).starts_with(kOption)) return 0;
  const std::string folder((*argv)[1] + kOption.size());
  std::size_t number = 0;
  for (const std::string& seed : pronghorn::fuzz::targets().front().seeds()) {
    std::ofstream file(folder + "/seed-" + std::to_string(number++), std::ios::binary);
    file << seed;
    if (!file.flush()) {
      std::fprintf(stderr, "cannot write to %s\n", folder.c_str());
      std::exit(1);
    }
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  pronghorn::fuzz::targets().front().fuzz({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
