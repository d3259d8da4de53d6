#include "common/ipc/scoreboard.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace pronghorn {
namespace {

constexpr std::uint32_t kMagic = 0x50524e47;  // "PRNG"
constexpr auto kLayout = static_cast<std::uint32_t>(sizeof(ScoreboardMemory));

ScoreboardMemory* map(int fd) {
  void* address = ::mmap(nullptr, sizeof(ScoreboardMemory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "cannot map the scoreboard");
  return static_cast<ScoreboardMemory*>(address);
}

}  // namespace

Scoreboard Scoreboard::create() {
  const int fd = ::memfd_create("pronghorn-scoreboard", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "cannot create the scoreboard");
  if (::ftruncate(fd, static_cast<off_t>(sizeof(ScoreboardMemory))) != 0 ||
      ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    const int error = errno;
    ::close(fd);
    throw std::system_error(error, std::generic_category(), "cannot size the scoreboard");
  }
  Scoreboard board(fd, map(fd));
  board.server().magic = kMagic;
  board.server().layout = kLayout;
  return board;
}

Scoreboard Scoreboard::attach(int fd) {
  struct stat facts{};
  if (::fstat(fd, &facts) != 0 || facts.st_size != static_cast<off_t>(sizeof(ScoreboardMemory))) {
    throw std::runtime_error("the scoreboard is of another build; run \"pronghorn upgrade\" or restart the server");
  }
  Scoreboard board(fd, map(fd));
  if (board.server().magic != kMagic || board.server().layout != kLayout) {
    throw std::runtime_error("the scoreboard is of another build; run \"pronghorn upgrade\" or restart the server");
  }
  return board;
}

Scoreboard::Scoreboard(Scoreboard&& other) noexcept : fd_(other.fd_), memory_(other.memory_) {
  other.fd_ = -1;
  other.memory_ = nullptr;
}

Scoreboard::~Scoreboard() {
  if (memory_ != nullptr) ::munmap(memory_, sizeof(ScoreboardMemory));
  if (fd_ >= 0) ::close(fd_);
}

std::string line_of(const RunningRequest& running) { return text_of(running.line); }

std::string id_of(const RunningRequest& running) {
  const std::string of_proxy = text_of(running.client_id);
  return of_proxy.empty() ? to_string(running.id) : of_proxy;
}

std::string id_of(const StallRecord& stall) {
  if (stall.id.number == 0) return {};
  const std::string of_proxy = text_of(stall.client_id);
  return of_proxy.empty() ? to_string(stall.id) : of_proxy;
}

void clear_gauges(WorkerRow& row) noexcept {
  for (std::size_t i = 0; i < kCounts; ++i) {
    if (is_gauge(kCounterFacts[i].kind)) row.counters.values[i].store(0);
  }
  row.overloaded_since_at.store(0);
  add(row[Count::log_lines_dropped], row.unwritten_log_lines.exchange(0) + row.unwritten_access_lines.exchange(0));
}

void take_row(WorkerRow& row) noexcept {
  row.phase.store(WorkerPhase::booting);
  row.stamp_ms.store(monotonic_ms());
  clear_gauges(row);
  row.redis_state.store(RedisState::off);
  row.redis_since_at.store(0);
  row.redis_error.set("");
  for (RedisNodeRow& node : row.redis_nodes) node.address.set("");
  row.running.active.store(0);
  row.waiting.store(0);
  row.requests_before.store(row[Count::requests].load());
  row.crash.signal.store(0);
  row.crash.stack.count.store(0);
  row.crash.requests_count.store(0);
  row.stall.taken.store(0);
  row.modules.count.store(0);
  row.log.clear();
  row.pid.store(static_cast<std::uint32_t>(::getpid()));
}

std::uint64_t progress_ms(const WorkerRow& row, std::uint64_t now_ms) noexcept {
  const std::uint64_t stamp = row.stamp_ms.load();
  const std::uint64_t began = row.running.started_ns.load(std::memory_order_relaxed) / 1'000'000;
  return began <= now_ms ? std::max(stamp, began) : stamp;
}

double stuck_seconds(const WorkerRow& row, std::uint64_t now_ms) noexcept {
  const WorkerPhase phase = row.phase.load();
  const std::uint64_t progress = progress_ms(row, now_ms);
  const bool turns = phase != WorkerPhase::ready && phase != WorkerPhase::draining;  // it boots: it may take its time
  if (turns || progress + kStuckMs > now_ms) return 0;
  return static_cast<double>(now_ms - progress) / 1000.0;
}

const char* to_string(SlotState state) noexcept {
  switch (state) {
    case SlotState::empty:
      return "empty";
    case SlotState::starting:
      return "starting";
    case SlotState::ready:
      return "ready";
    case SlotState::draining:
      return "draining";
    case SlotState::backoff:
      return "backoff";
    case SlotState::stopped:
      return "stopped";
  }
  return "unknown";
}

const char* to_string(WorkerPhase phase) noexcept {
  switch (phase) {
    case WorkerPhase::none:
      return "none";
    case WorkerPhase::booting:
      return "booting";
    case WorkerPhase::ready:
      return "ready";
    case WorkerPhase::draining:
      return "draining";
  }
  return "unknown";
}

const char* to_string(RedisState state) noexcept {
  switch (state) {
    case RedisState::off:
      return "off";
    case RedisState::connecting:
      return "connecting";
    case RedisState::up:
      return "up";
    case RedisState::down:
      return "down";
  }
  return "unknown";
}

const char* to_string(RedisCircuit circuit) noexcept {
  switch (circuit) {
    case RedisCircuit::closed:
      return "closed";
    case RedisCircuit::open:
      return "open";
    case RedisCircuit::half_open:
      return "half-open";
  }
  return "unknown";
}

std::uint64_t monotonic_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace pronghorn
