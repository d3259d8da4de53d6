#include "worker/runtime/waiting_list.h"

#include <optional>

#include "support/catch.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

Task<void> count(WaitingList& list, int& resumed) {
  co_await list.wait();
  ++resumed;
}

Task<void> destroy(WaitingList& list, std::optional<Task<void>>& other, int& resumed) {
  co_await list.wait();
  ++resumed;
  other.reset();
}

}  // namespace

TEST_CASE("those that are woken go on in the next turn of the loop", "[task]") {
  TestLoop loop;
  WaitingList list;
  int resumed = 0;
  Task<void> one = count(list, resumed), two = count(list, resumed);
  one.start();
  two.start();
  CHECK_FALSE(list.empty());
  list.wake_all();
  CHECK(list.empty());
  CHECK(resumed == 0);
  loop.run_until([&] { return one.done() && two.done(); });
  CHECK(resumed == 2);
}

TEST_CASE("one that waits may destroy another one, or the list, when it goes on", "[task]") {
  TestLoop loop;
  const bool now = GENERATE(true, false);
  auto list = std::make_optional<WaitingList>();
  int resumed = 0;
  std::optional<Task<void>> one, two;
  one.emplace(destroy(*list, two, resumed));
  two.emplace(destroy(*list, one, resumed));
  one->start();
  two->start();
  if (now) {
    list->resume_all();
  } else {
    list->wake_all();
    list.reset();
    loop.run_until([&] { return resumed > 0; });
  }
  CHECK(resumed == 1);
  CHECK((one.has_value() != two.has_value()));
}

TEST_CASE("one that is destroyed while it waits is not resumed", "[task]") {
  TestLoop loop;
  WaitingList list;
  int resumed = 0;
  {
    Task<void> gone = count(list, resumed);
    gone.start();
  }
  CHECK(list.empty());
  list.resume_all();
  CHECK(resumed == 0);
}
