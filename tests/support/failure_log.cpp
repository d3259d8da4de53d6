#define CATCH_CONFIG_EXTERNAL_INTERFACES  // for TestEventListenerBase in Catch2 version 2
#include "support/failure_log.h"

#include <iostream>
#include <utility>
#include <vector>

#include "support/catch.h"

namespace pronghorn::test {

namespace {

std::vector<std::pair<std::string, std::string>>& kept() {
  static std::vector<std::pair<std::string, std::string>> logs;
  return logs;
}

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

struct FailureLog : ListenerBase {
  using ListenerBase::ListenerBase;
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (stats.totals.assertions.failed > 0) {
      for (const auto& [title, text] : kept()) std::cout << "----- " << title << "\n" << text << "-----\n";
    }
    kept().clear();
  }
};

CATCH_REGISTER_LISTENER(FailureLog)

}  // namespace

void show_if_test_fails(std::string title, std::string text) { kept().emplace_back(std::move(title), std::move(text)); }

}  // namespace pronghorn::test
