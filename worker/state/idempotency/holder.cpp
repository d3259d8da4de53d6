#include "worker/state/idempotency/holder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "worker/crypto/random_hex.h"

namespace pronghorn::worker {
namespace {

std::string read_small_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 1024> bytes;
  const ssize_t size = ::read(fd, bytes.data(), bytes.size());
  ::close(fd);
  return size > 0 ? std::string(bytes.data(), static_cast<std::size_t>(size)) : std::string();
}

// Of a line in /proc/PID/stat: "PID (NAME) S …", with the start time as the 22nd value. NAME may contain anything.
struct ProcessFacts {
  std::string pid;
  char state = '?';
  std::string start;
};

std::optional<ProcessFacts> facts_of(const std::string& process) {
  const std::string line = read_small_file("/proc/" + process + "/stat");
  const std::size_t name_end = line.rfind(") ");
  if (name_end == std::string::npos || name_end + 2 >= line.size()) return std::nullopt;
  ProcessFacts facts{.pid = line.substr(0, line.find(' ')), .state = line[name_end + 2], .start = {}};
  std::size_t begin = name_end + 2;
  for (int value = 3; value < 22; ++value) {
    begin = line.find(' ', begin);
    if (begin == std::string::npos) return std::nullopt;
    ++begin;
  }
  facts.start = line.substr(begin, line.find(' ', begin) - begin);
  return facts;
}

// Empty if unknown.
std::string name_machine() {
  std::string boot = read_small_file("/proc/sys/kernel/random/boot_id");
  boot.erase(boot.find_last_not_of('\n') + 1);
  struct stat pids{};
  if (boot.empty() || ::stat("/proc/self/ns/pid", &pids) != 0) return {};
  return boot + "." + std::to_string(pids.st_ino);
}

struct Parts {
  std::string_view machine;
  std::string_view pid;
  std::string_view start;
};

std::optional<Parts> parse(std::string_view name) {
  const std::size_t first = name.find(':');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = name.find(':', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  return Parts{name.substr(0, first), name.substr(first + 1, second - first - 1), name.substr(second + 1)};
}

}  // namespace

std::string name_this_process() {
  const std::string machine = name_machine();
  const auto facts = facts_of("self");
  // Another id: /proc belongs to another namespace, and says nothing about the processes that kill() finds.
  if (machine.empty() || !facts || facts->pid != std::to_string(::getpid())) return random_hex();
  return machine + ":" + facts->pid + ":" + facts->start;
}

HolderState state_of_holder(std::string_view holder, std::string_view self) {
  const auto theirs = parse(holder);
  const auto ours = parse(self);
  if (!theirs || !ours || theirs->machine != ours->machine) return HolderState::elsewhere;
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(theirs->pid.data(), theirs->pid.data() + theirs->pid.size(), pid);
  if (error != std::errc{} || end != theirs->pid.data() + theirs->pid.size() || pid <= 0) return HolderState::elsewhere;
  if (::kill(pid, 0) != 0 && errno == ESRCH) return HolderState::ended;
  // A process of another user, which /proc may hide, counts as alive.
  const auto facts = facts_of(std::to_string(pid));
  if (!facts) return HolderState::alive;
  const bool ended = facts->start != theirs->start || facts->state == 'Z' || facts->state == 'X';
  return ended ? HolderState::ended : HolderState::alive;
}

}  // namespace pronghorn::worker
