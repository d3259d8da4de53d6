// Appoints the worker that receives topics from Redis for all workers of the machine (worker/state/relay/relay.h), and
// links the others with it.
//
// A link is a socket pair of which this process keeps neither end. Another worker is appointed when the relay has ended,
// drains, or has been blocked for kStalledMs more than StallWatch waits. A relay that drains serves its links until all
// workers have gone over to the next.
//
// Why the supervisor appoints: a lock of a file would outlive a worker in its guardian, which shares its descriptors.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "common/ipc/scoreboard.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class TopicRelay {
 public:
  static constexpr std::uint64_t kStalledMs = 500;

  // Both must outlive this. A relay that an earlier image of this program has appointed stays.
  TopicRelay(Workers& workers, Scoreboard& board);

  // Appoints and links as workers start, stall and leave. Call after every event. A message that a full channel does not
  // take is sent by a later call. Returns when to call again (monotonic milliseconds; 0: nothing is due).
  std::uint64_t advance();
  // MessageKind::relay_unlinked
  void unlinked(int worker, int relay);

 private:
  static constexpr std::uint64_t kAgainMs = 100;

  enum class Standing : std::uint8_t { works, boots, drains, blocked, gone };
  struct Link {
    std::uint64_t again_ms = 0;  // when to make it; 0: it is made
    std::string_view before;     // what became of the relay before: kRelay…
  };

  [[nodiscard]] Standing standing(std::uint64_t now, std::uint64_t& next);
  [[nodiscard]] bool leaves(const WorkerEntry& worker) const noexcept;
  [[nodiscard]] bool is_stalled(std::uint64_t now, std::uint64_t& next);
  [[nodiscard]] const WorkerEntry* find_candidate() const;
  void replace(std::uint64_t now, std::uint64_t& next);
  void appoint(const WorkerEntry& worker, std::string_view before, std::uint64_t now);
  [[nodiscard]] bool link(int worker, std::string_view before);

  Workers& workers_;
  Scoreboard& board_;
  int relay_ = 0;                  // pid, also after its end; 0: there was none
  std::uint64_t still_since_ = 0;  // when the relay was found blocked; 0: it is not
  std::map<int, Link> links_;      // by pid of a worker; that of the relay: its appointment
};

}  // namespace pronghorn::supervisor
