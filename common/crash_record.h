// What a worker writes into its row of the scoreboard to explain its end: stack, requests, modules, last lines of its
// log.
//
// Written by the worker alone, much of it from signal handlers: plain memory, no allocation, no lock. A reader may find
// a record whose writer died in the middle; each count is stored after what it counts.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/text/request_id.h"

namespace pronghorn {

inline constexpr std::size_t kMaxFrames = 64;
inline constexpr std::size_t kMaxReportedRequests = 16;
inline constexpr std::size_t kMaxModules = 96;
inline constexpr std::size_t kLogRingBytes = 4096;

// Code addresses, innermost first: [0] is where the thread was, the others are return addresses.
struct StackTrace {
  std::atomic<std::uint32_t> count;
  std::array<std::uint64_t, kMaxFrames> addresses;
};

// A request in flight, lost when its worker ends.
struct LostRequest {
  std::uint64_t started_ns;  // monotonic
  RequestId id;              // number 0: none assigned yet
  std::uint32_t responded;   // 1: its response has begun
  char line[160];            // method, blank, path; truncated; NUL-terminated
};

// The signal that ends the worker.
struct CrashRecord {
  std::atomic<std::uint32_t> signal;  // 0: none
  std::int32_t code;                  // si_code
  std::uint64_t address;              // of the fault, for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP
  std::uint32_t sender;               // pid of the sender; 0: the kernel
  std::uint32_t thread;               // thread id; the loop's is the pid
  std::uint64_t client;               // digest of the client whose request was running; 0: unknown
  StackTrace stack;
  std::atomic<std::uint32_t> requests_count;
  std::array<LostRequest, kMaxReportedRequests> requests;
};

// Where the loop was when the supervisor asked.
struct StallRecord {
  std::atomic<std::uint32_t> taken;  // counts the stacks
  RequestId id;                      // of the running request; number 0: none
  char line[208];                    // as in RunningRequest
  char client_id[129];               // the same
  StackTrace stack;
};

// An executable or library mapped into the worker.
struct Module {
  std::uint64_t bias;  // address in memory minus address in the file
  std::uint64_t begin;
  std::uint64_t end;
  std::uint32_t build_id_size;
  std::array<std::uint8_t, 20> build_id;
  char path[256];  // NUL-terminated; a truncated one cannot be opened, which is harmless
};

struct ModuleTable {
  std::atomic<std::uint32_t> count;
  std::array<Module, kMaxModules> modules;
};

// The end of the worker's log. Zeroed memory is an empty ring.
class LogRing {
 public:
  // Not thread-safe.
  void append(std::string_view text) noexcept;
  void clear() noexcept { end_.store(0, std::memory_order_relaxed); }
  // Its whole lines, oldest first. While the writer lives, the oldest one may be torn.
  [[nodiscard]] std::vector<std::string> lines() const;

 private:
  std::atomic<std::uint64_t> end_;  // bytes ever written
  char bytes_[kLogRingBytes];
};

// The text in `bytes`, up to the NUL; all of them if the writer died before it wrote one.
template <std::size_t N>
[[nodiscard]] std::string text_of(const char (&bytes)[N]) {
  const std::string_view all(bytes, N);
  return std::string(all.substr(0, all.find('\0')));
}

// Copies what fits and adds a NUL. Async-signal-safe.
template <std::size_t N>
void copy_text(char (&to)[N], std::string_view text) noexcept {
  const std::size_t length = text.size() < N - 1 ? text.size() : N - 1;
  for (std::size_t i = 0; i < length; ++i) to[i] = text[i];
  to[length] = '\0';
}

}  // namespace pronghorn
