// Whom the kernel kills when memory runs out.
#pragma once

namespace pronghorn::worker {

// Makes this process count as if it used another 30 % of all the memory that there is, so that the kernel chooses a
// worker, whose death no client notices, rather than the supervisor, Redis or another program (oom_score_adj in
// proc(5)). Where that is forbidden nothing happens.
void offer_to_oom_killer() noexcept;

}  // namespace pronghorn::worker
