#include "worker/process/oom_choice.h"

#include <algorithm>
#include <fstream>

namespace pronghorn::worker {

void offer_to_oom_killer() noexcept {
  constexpr int kMore = 300;  // thousandths of the memory that the kernel looks at
  constexpr int kMost = 1000;
  try {
    constexpr const char* kFile = "/proc/self/oom_score_adj";
    int score = 0;
    if (std::ifstream(kFile) >> score) std::ofstream(kFile) << std::min(score + kMore, kMost);
  } catch (...) {  // NOLINT(bugprone-empty-catch): no memory for it
  }
}

}  // namespace pronghorn::worker
