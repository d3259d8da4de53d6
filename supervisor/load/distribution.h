// Links every ready worker with the distributor, so that it can pass connections to them (balances that do so).
//
// A link is a socket pair: one end goes to the distributor, one to the worker, and this process keeps neither, so no
// descriptor of a client comes here. Its end tells each side that the other is gone.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class Distribution {
 public:
  // `workers` must outlive this.
  explicit Distribution(Workers& workers) : workers_(workers) {}

  // Makes and ends links as workers become ready, stand still or leave. Call after every event, until the server stops:
  // draining workers then get connections until the end. A message that a full channel does not take is sent by a later
  // call. Returns when to call again (monotonic milliseconds; 0: nothing is due).
  std::uint64_t advance();
  // MessageKind::unlinked: a process had no descriptor left for its end of the link, for example.
  void unlinked(int distributor, int worker);
  // A worker or a distributor has been reaped.
  void gone(const WorkerEntry& process);

 private:
  static constexpr std::uint64_t kAgainMs = 500;

  using Pair = std::pair<int, int>;  // pids of a distributor and of a worker

  [[nodiscard]] std::vector<int> distributors() const;
  [[nodiscard]] bool link(int distributor, const WorkerEntry& worker);
  [[nodiscard]] bool tell_gone(const Pair& pair);

  Workers& workers_;
  std::map<Pair, std::uint64_t> links_;  // 0: linked; else when to link again
  std::set<Pair> untold_;                // workers that are gone, which the distributor does not know yet
};

}  // namespace pronghorn::supervisor
