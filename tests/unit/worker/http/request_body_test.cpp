#include "worker/http/request_body.h"

#include <optional>
#include <string>

#include "pronghorn/error.h"
#include "pronghorn/task.h"
#include "support/catch.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

Task<std::string> whole(RequestBody& body) {
  body.keep_whole();
  while (!body.satisfied()) co_await body.wait();
  co_return std::string(body.whole());
}

Task<std::string> next(RequestBody& body) {
  while (!body.satisfied()) co_await body.wait();
  co_return std::string(body.take());
}

}  // namespace

// HTTP/2 pushes what arrives with the head before the route is known.
TEST_CASE("what has arrived before the limit of a body is known counts", "[body]") {
  RequestBody body;
  body.begin();
  body.push("123456");
  CHECK(body.set_limit(6));
  CHECK_FALSE(body.set_limit(5));
}

// Branches of when_all() that read one body: the last one was resumed, and the others waited for ever.
TEST_CASE("all that wait for a body get it, or what is wrong with it", "[body]") {
  const TestLoop loop;
  const bool fails = GENERATE(false, true);
  RequestBody body;
  body.begin();
  Task<std::string> one = whole(body), two = whole(body);
  std::optional<Task<std::string>> gone = whole(body);
  for (Task<std::string>* task : {&one, &two, &*gone}) task->start();
  body.push("text");
  CHECK_FALSE(one.done());
  gone.reset();
  fails ? body.fail(408, "too slow") : body.finish();
  for (Task<std::string>* task : {&one, &two}) {
    REQUIRE(task->done());
    if (fails) CHECK_THROWS_AS(task->take(), HttpError);
    if (!fails) CHECK(task->take() == "text");
  }
}

TEST_CASE("of two that read a body piece by piece each piece goes to one, and its end to both", "[body]") {
  const TestLoop loop;
  RequestBody body;
  body.begin();
  Task<std::string> one = next(body), two = next(body);
  one.start();
  two.start();
  body.push("a");
  CHECK((one.done() != two.done()));
  body.finish();
  REQUIRE((one.done() && two.done()));
  CHECK(one.take() + two.take() == "a");
}
