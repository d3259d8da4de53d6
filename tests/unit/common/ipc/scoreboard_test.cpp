#include "common/ipc/scoreboard.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/catch.h"

using namespace pronghorn;

TEST_CASE("shared text that is too long is truncated") {
  const auto text = std::make_unique<SharedText<8>>();
  text->set("0123456789");
  CHECK(text->get() == "0123456");
  text->set("");
  CHECK(text->get().empty());
}

TEST_CASE("a reader of shared text sees whole texts while a writer changes it") {
  constexpr int kReads = 20'000;
  const auto text = std::make_unique<SharedText<112>>();
  text->set("a");
  std::atomic<std::uint64_t> writes = 0;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (char c = 'a'; !stop.load(); c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
      text->set(std::string(static_cast<std::size_t>(c - 'a') * 4 + 1, c));
      ++writes;
    }
  });
  int torn = 0;
  std::uint64_t last = 0;
  for (int i = 0; i < kReads; ++i) {
    const std::string seen = text->get();
    const bool whole = !seen.empty() && seen == std::string(static_cast<std::size_t>(seen[0] - 'a') * 4 + 1, seen[0]);
    // If the kernel preempts the writer in the middle of a text, readers get the incomplete text: that counts once.
    const std::uint64_t now = writes.load();
    if (!whole && now != last) ++torn;
    last = now;
  }
  stop = true;
  writer.join();
  CHECK(torn < kReads / 200);
}

TEST_CASE("shared text that a dead writer left half written is read without hanging") {
  const auto text = std::make_unique<SharedText<16>>();
  text->set("whole");
  const std::uint32_t odd = 3;  // as after a crash inside set(): the version is the first member
  std::memcpy(static_cast<void*>(text.get()), &odd, sizeof odd);
  const std::uint32_t too_long = 1'000'000;
  std::memcpy(static_cast<char*>(static_cast<void*>(text.get())) + sizeof odd, &too_long, sizeof too_long);
  CHECK(text->get().size() == 15);
}

TEST_CASE("the next writer repairs shared text that a dead one left half written") {
  const auto text = std::make_unique<SharedText<16>>();
  text->set("whole");
  const auto version = [&] {
    std::uint32_t value = 0;
    std::memcpy(&value, static_cast<const void*>(text.get()), sizeof value);
    return value;
  };
  const std::uint32_t odd = version() + 1;
  std::memcpy(static_cast<void*>(text.get()), &odd, sizeof odd);
  text->set("new");
  CHECK(text->get() == "new");
  CHECK(version() % 2 == 0);  // else every later reader would wait in vain
}

TEST_CASE("two processes that map one scoreboard see the same rows") {
  Scoreboard supervisor = Scoreboard::create();
  Scoreboard worker = Scoreboard::attach(::fcntl(supervisor.fd(), F_DUPFD_CLOEXEC, 0));
  take_row(worker.worker(255, 1));
  CHECK(supervisor.worker(255, 1).pid.load() == static_cast<std::uint32_t>(::getpid()));
  CHECK(supervisor.worker(255, 0).pid.load() == 0);
}

TEST_CASE("a worker that takes a row over keeps its counters and clears its gauges") {
  Scoreboard board = Scoreboard::create();
  WorkerRow& row = board.worker(0, 0);
  add(row[Count::requests], 7);
  add(row[Count::connections], 3);
  add(row[Count::in_flight], 2);
  row.phase = WorkerPhase::draining;
  take_row(row);
  CHECK(row[Count::requests].load() == 7);
  CHECK(row[Count::connections].load() == 0);
  CHECK(row[Count::in_flight].load() == 0);
  CHECK(row.phase.load() == WorkerPhase::booting);
}

TEST_CASE("a scoreboard of another build is refused") {
  const int small = ::memfd_create("test", MFD_CLOEXEC);
  CHECK_THROWS_AS(Scoreboard::attach(small), std::runtime_error);
  ::close(small);
  const int unmarked = ::memfd_create("test", MFD_CLOEXEC);
  REQUIRE(::ftruncate(unmarked, static_cast<off_t>(sizeof(ScoreboardMemory))) == 0);
  CHECK_THROWS_AS(Scoreboard::attach(unmarked), std::runtime_error);
}

TEST_CASE("nobody can change the size of a scoreboard") {
  const Scoreboard board = Scoreboard::create();
  CHECK(::ftruncate(board.fd(), 1) == -1);
  CHECK(::ftruncate(board.fd(), static_cast<off_t>(sizeof(ScoreboardMemory)) * 2) == -1);
}

TEST_CASE("a scoreboard that few workers use takes little memory") {
  const Scoreboard board = Scoreboard::create();
  struct stat facts{};
  REQUIRE(::fstat(board.fd(), &facts) == 0);
  CHECK(facts.st_blocks * 512 < 1024 * 1024);
}
