#include "distributor/balance_policy.h"

#include <map>
#include <set>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::distributor;

namespace {

std::vector<Candidate> workers(std::uint32_t count) {
  std::vector<Candidate> all;
  for (std::uint32_t slot = 0; slot < count; ++slot) all.push_back({.slot = slot});
  return all;
}

}  // namespace

TEST_CASE("round-robin takes turns, even while a worker is missing", "[distributor]") {
  BalancePolicy policy(Balance::round_robin, 1);
  const auto all = workers(3);
  std::vector<std::uint32_t> slots;
  for (int i = 0; i < 4; ++i) slots.push_back(all[policy.choose(all, 0)].slot);
  CHECK(slots == std::vector<std::uint32_t>{0, 1, 2, 0});
  const std::vector<Candidate> without{all[0], all[2]};
  CHECK(without[policy.choose(without, 0)].slot == 2);
  CHECK(without[policy.choose(without, 0)].slot == 0);
}

TEST_CASE("least-connections chooses the emptiest worker, and goes round among equals", "[distributor]") {
  BalancePolicy policy(Balance::least_connections, 1);
  auto all = workers(3);
  all[0].connections = 5;
  CHECK(policy.choose(all, 0) == 1);
  CHECK(policy.choose(all, 0) == 2);
  CHECK(policy.choose(all, 0) == 1);
  all[0].connections = 0;
  all[1].connections = all[2].connections = 1;
  CHECK(policy.choose(all, 0) == 0);
}

TEST_CASE("least-response-time prefers the fast worker until its queue outweighs that", "[distributor]") {
  BalancePolicy policy(Balance::least_response_time, 1);
  auto all = workers(2);
  all[0].latency_us = 1'000;
  all[1].latency_us = 100;
  CHECK(policy.choose(all, 0) == 1);
  all[1].in_flight = 50;
  CHECK(policy.choose(all, 0) == 0);
}

TEST_CASE("random reaches every worker", "[distributor]") {
  BalancePolicy policy(Balance::random, 7);
  const auto all = workers(4);
  std::set<std::size_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(policy.choose(all, 0));
  CHECK(seen.size() == 4);
}

TEST_CASE("a hashed client stays with its worker, and only those of a lost worker move", "[distributor]") {
  BalancePolicy policy(Balance::cookie_hash, 1);
  const auto all = workers(4);
  const std::vector<Candidate> without{all[0], all[1], all[3]};
  std::map<std::uint32_t, int> load;
  for (int client = 0; client < 1'000; ++client) {
    const std::uint64_t key = hash_key("session" + std::to_string(client));
    const std::uint32_t slot = all[policy.choose(all, key)].slot;
    CHECK(all[policy.choose(all, key)].slot == slot);
    if (slot != 2) CHECK(without[policy.choose(without, key)].slot == slot);
    ++load[slot];
  }
  for (const auto& [slot, clients] : load) CHECK(clients > 150);
}
