#include "supervisor/slots/start_verdict.h"

#include <signal.h>

#include "support/catch.h"

using namespace pronghorn::supervisor;

namespace {

constexpr ChildExit kCrash{.pid = 1, .status = 0, .signal = SIGSEGV};
constexpr ChildExit kCannotStart{.pid = 1, .status = kExitApplication, .signal = 0};

}  // namespace

TEST_CASE("a worker that reports that the application cannot start is believed immediately", "[start_verdict]") {
  StartVerdict verdict;
  CHECK(verdict.is_hopeless({.slot = 0}, kCannotStart, 8));
}

TEST_CASE("crashes before any worker was ready are hopeless once every slot has had one", "[start_verdict]") {
  StartVerdict verdict;
  CHECK_FALSE(verdict.is_hopeless({.slot = 0}, kCrash, 2));
  CHECK_FALSE(verdict.is_hopeless({.slot = 0}, kCrash, 2));
  CHECK(verdict.is_hopeless({.slot = 1}, kCrash, 2));
}

TEST_CASE("after one worker was ready no failure is hopeless", "[start_verdict]") {
  StartVerdict verdict;
  verdict.worker_ready();
  CHECK_FALSE(verdict.is_hopeless({.slot = 0}, kCannotStart, 1));
  CHECK_FALSE(verdict.is_hopeless(0U, 1));
}

TEST_CASE("the admin process says nothing about the application", "[start_verdict]") {
  StartVerdict verdict;
  CHECK_FALSE(verdict.is_hopeless({.slot = pronghorn::kAdminSlot}, kCannotStart, 1));
  CHECK_FALSE(verdict.is_hopeless({.slot = pronghorn::kDistributorSlot}, kCannotStart, 1));
}
