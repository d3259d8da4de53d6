#include "server/options/values/suggest.h"

#include "support/catch.h"

using namespace pronghorn::server;

TEST_CASE("edit distance counts insertions, deletions, substitutions and swaps", "[suggest]") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("worker", "workers") == 1);
  CHECK(edit_distance("wrokers", "workers") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("a mistyped name suggests the intended one", "[suggest]") {
  const std::vector<std::string> names{"workers", "worker_timeout", "drain_delay", "drain_timeout", "redis"};
  CHECK(closest("worker", names) == "workers");
  CHECK(closest("drain-timeout", names) == "drain_timeout");
  CHECK(closest("DRAIN_TIMEOUT", names) == "drain_timeout");
  CHECK(closest("dran_timeot", names) == "drain_timeout");
  CHECK(closest("rdis", names) == "redis");
  CHECK(did_you_mean("worker", names) == "; did you mean \"workers\"?");
}

TEST_CASE("a name that resembles no other has no suggestion", "[suggest]") {
  CHECK(closest("colour", {"workers", "redis"}).empty());
  CHECK(closest("x", {"redis"}).empty());
  CHECK(closest(std::string(10'000, 'a'), {"redis"}).empty());
  CHECK(did_you_mean("colour", {"workers"}).empty());
}
