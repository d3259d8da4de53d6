// The table of leased permits: rows, expiry, and what is left by workers that die or stall.
#include "worker/state/limits/permits/leases.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.h"

using namespace pronghorn;
using namespace std::chrono_literals;
using worker::Leases;
using Kind = Leases::Draw::Kind;

namespace {

constexpr std::uint64_t kNow = 1'000'000;
constexpr auto kPatience = 1s;

struct Table {
  std::unique_ptr<LeaseTable> memory = std::make_unique<LeaseTable>();
  Leases leases{*memory};
};

// Leases `permits` of `key` until `until_ms`.
void lease(Leases& leases, std::string_view key, std::uint32_t permits, std::uint64_t until_ms,
           std::uint64_t now_ms = kNow) {
  auto fetch = leases.begin_fetch(leases.digest(key), now_ms, kPatience);
  REQUIRE(fetch);
  fetch->deposit(permits, until_ms, 0, until_ms);
}

int draws(Leases& leases, std::string_view key, std::uint64_t now_ms = kNow) {
  int count = 0;
  while (leases.draw(leases.digest(key), now_ms).kind == Kind::drawn) ++count;
  return count;
}

}  // namespace

TEST_CASE("each leased permit is drawn once, by its own key, until it expires", "[limit][leases]") {
  // deposit() reads the clock to find out whether older permits have expired.
  const std::uint64_t now = monotonic_ms();
  Table table;
  lease(table.leases, "a", 3, now + 60'000, now);
  CHECK(draws(table.leases, "b", now) == 0);
  CHECK(draws(table.leases, "a", now) == 3);
  lease(table.leases, "a", 3, now + 60'000, now);
  CHECK(draws(table.leases, "a", now + 60'000) == 0);
}

TEST_CASE("two objects share a table, as two workers do", "[limit][leases]") {
  const std::uint64_t now = monotonic_ms();
  Table table;
  Leases other(*table.memory);
  CHECK(other.digest("a") == table.leases.digest("a"));
  lease(table.leases, "a", 4, now + 60'000, now);
  CHECK(other.draw(other.digest("a"), now).kind == Kind::drawn);
  CHECK(draws(table.leases, "a", now) == 3);
}

TEST_CASE("digests of two servers differ, so that nobody can choose keys that share a row", "[limit][leases]") {
  CHECK(Table().leases.digest("a") != Table().leases.digest("a"));
}

TEST_CASE("a permit that was not used is given back", "[limit][leases]") {
  const std::uint64_t now = monotonic_ms();
  Table table;
  lease(table.leases, "a", 1, now + 60'000, now);
  const Leases::Draw drawn = table.leases.draw(table.leases.digest("a"), now);
  REQUIRE(drawn.kind == Kind::drawn);
  table.leases.give_back(drawn.row, now);
  CHECK(draws(table.leases, "a", now) == 1);
}

TEST_CASE("only one worker at a time asks for more permits of a key", "[limit][leases]") {
  Table table;
  const std::uint64_t digest = table.leases.digest("a");
  auto first = table.leases.begin_fetch(digest, kNow, kPatience);
  REQUIRE(first);
  CHECK_FALSE(table.leases.begin_fetch(digest, kNow, kPatience));
  // The worker died: after its patience another one may ask.
  CHECK(table.leases.begin_fetch(digest, kNow + 1'000, kPatience));
}

TEST_CASE("a fetch that ends without an answer lets the next one ask", "[limit][leases]") {
  Table table;
  const std::uint64_t digest = table.leases.digest("a");
  {
    const auto abandoned = table.leases.begin_fetch(digest, kNow, kPatience);
  }
  CHECK(table.leases.begin_fetch(digest, kNow, kPatience));
}

TEST_CASE("a refusal of Redis is known to all until it expires, and does not hide permits", "[limit][leases]") {
  const std::uint64_t now = monotonic_ms();
  Table table;
  const std::uint64_t digest = table.leases.digest("a");
  table.leases.begin_fetch(digest, now, kPatience)->refuse(now + 500, now + 30'000);
  const Leases::Draw refused = table.leases.draw(digest, now);
  CHECK(refused.kind == Kind::refused);
  CHECK(refused.reset_ms >= 30'000);
  CHECK(refused.reset_ms <= 31'000);
  CHECK(table.leases.draw(digest, now + 500).kind == Kind::none);
  lease(table.leases, "a", 2, now + 60'000, now);
  table.leases.begin_fetch(digest, now, kPatience)->refuse(now + 500, now + 500);
  CHECK(draws(table.leases, "a", now) == 2);
}

// A worker that is stopped between claiming a row and writing to it must not give its key the permits of another.
TEST_CASE("a fetch whose row has another key by now changes nothing", "[limit][leases]") {
  const std::uint64_t now = monotonic_ms();
  Table table;
  auto stalled = table.leases.begin_fetch(table.leases.digest("a"), now, kPatience);
  REQUIRE(stalled);
  // Keys of the same set, until the row of "a" is taken over.
  int others = 0;
  for (int i = 0; others < 8; ++i) {
    const std::string key = "other" + std::to_string(i);
    if (table.leases.digest(key) % 512 != table.leases.digest("a") % 512) continue;
    lease(table.leases, key, 5, now + 60'000, now + 2'000);
    ++others;
  }
  stalled->deposit(100, now + 60'000, 0, 0);
  CHECK(draws(table.leases, "a", now + 2'000) == 0);
  for (int i = 0; others > 0; ++i) {
    const std::string key = "other" + std::to_string(i);
    if (table.leases.digest(key) % 512 != table.leases.digest("a") % 512) continue;
    CHECK(draws(table.leases, key, now + 2'000) == 5);
    --others;
  }
}

TEST_CASE("rows in use are not taken from their keys: further keys lease nothing", "[limit][leases]") {
  const std::uint64_t now = monotonic_ms();
  Table table;
  std::vector<std::string> leased;
  int refused = 0;
  for (int i = 0; refused < 100; ++i) {
    const std::string key = "key" + std::to_string(i);
    auto fetch = table.leases.begin_fetch(table.leases.digest(key), now, kPatience);
    if (!fetch) {
      ++refused;
      continue;
    }
    fetch->deposit(1, now + 60'000, 0, 0);
    leased.push_back(key);
  }
  for (const std::string& key : leased) REQUIRE(draws(table.leases, key, now) == 1);
}

TEST_CASE("threads that draw at the same time get each permit once", "[limit][leases]") {
  const std::uint64_t now = monotonic_ms();
  Table table;
  lease(table.leases, "a", 10'000, now + 60'000, now);
  const std::uint64_t digest = table.leases.digest("a");
  std::atomic<int> drawn = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Leases mine(*table.memory);
      int count = 0;
      for (int n = 0; n < 5'000; ++n) {
        const Leases::Draw draw = mine.draw(digest, now);
        if (draw.kind != Kind::drawn) continue;
        ++count;
        if (n % 7 == 0) {
          mine.give_back(draw.row, now);
          --count;
        }
      }
      drawn += count;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(drawn + draws(table.leases, "a", now) == 10'000);
}

TEST_CASE("a process that is killed while it draws leaves a table that others go on with", "[limit][leases]") {
  const std::uint64_t now = monotonic_ms();
  void* memory = ::mmap(nullptr, sizeof(LeaseTable), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  auto& table = *static_cast<LeaseTable*>(memory);
  Leases leases(table);
  for (int round = 0; round < 20; ++round) {
    const std::string key = "key" + std::to_string(round);
    lease(leases, key, 16'000, now + 600'000, now);
    const std::uint64_t digest = leases.digest(key);
    const pid_t child = ::fork();
    if (child == 0) {
      Leases mine(table);
      for (;;) {
        const Leases::Draw draw = mine.draw(digest, now);
        if (draw.kind == Kind::drawn) mine.give_back(draw.row, now);
      }
    }
    for (int i = 0; i < 1'000; ++i) (void)leases.draw(digest, now);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    // At most the one permit that the child held is gone.
    const int left = draws(leases, key, now);
    CHECK(left <= 15'000);
    CHECK(left >= 14'999);
  }
  ::munmap(memory, sizeof(LeaseTable));
}
