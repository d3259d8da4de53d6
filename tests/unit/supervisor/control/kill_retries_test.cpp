// One click of a user killed two workers, because the browser repeated the request, and a route was quarantined.
#include "supervisor/control/kill_retries.h"

#include "support/catch.h"

using pronghorn::supervisor::KillRetries;

TEST_CASE("kills by one client with one request count once within 50 ms", "[quarantine]") {
  KillRetries retries;
  CHECK_FALSE(retries.is_retry("POST /pay", 7, 1'000));
  CHECK(retries.is_retry("POST /pay", 7, 1'000));
  CHECK(retries.is_retry("POST /pay", 7, 1'049));
  CHECK_FALSE(retries.is_retry("POST /pay", 7, 1'050));
}

TEST_CASE("kills of other clients, other requests and unknown clients count", "[quarantine]") {
  KillRetries retries;
  CHECK_FALSE(retries.is_retry("POST /pay", 7, 1'000));
  CHECK_FALSE(retries.is_retry("POST /pay", 8, 1'001));
  CHECK_FALSE(retries.is_retry("GET /pay", 7, 1'002));
  CHECK_FALSE(retries.is_retry("POST /pay", 0, 1'003));
  CHECK_FALSE(retries.is_retry("POST /pay", 0, 1'004));
}
