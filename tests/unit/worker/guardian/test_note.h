// What a worker has noted of one connection, and what the kernel says of it, for judge().
#pragma once

#include <cstdint>

#include "worker/guardian/verdict.h"

namespace pronghorn::worker {

// A connection that has had 100 bytes of requests answered with 1000.
struct TestNote {
  LedgerEntry entry{};
  SocketPositions kernel{.read = 100, .written = 1000};
  bool guilty = false;

  TestNote() {
    entry.state = LedgerState::open;
    entry.read = entry.dispatched = 100;
    entry.sent = 1000;
    output(1000, 100, 1000);
  }
  void output(std::uint64_t until, std::uint64_t answers_until, std::uint64_t answers_end) {
    entry.set_output({.until = until, .answers_until = answers_until, .answers_end = answers_end});
  }
  [[nodiscard]] Verdict verdict() const {
    return judge(entry, kernel, {.was_reading = kernel.read != entry.read && !kernel.broken, .guilty = guilty});
  }
};

}  // namespace pronghorn::worker
