#include "worker/tokens/key_loader.h"

#include <stdexcept>

#include "pronghorn/redis.h"
#include "pronghorn/timer.h"
#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::KeyLoader;

namespace {

// A source of keys that answers when the test says so, and a clock.
struct Source {
  int loads = 0;
  bool held = true;
  bool fails = false;
  KeySet keys = key_set_from(new_key(KeyAlgorithm::EdDSA, "k"));
  std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();

  KeyLoader::Load function() {
    return [this]() -> Task<KeySet> {
      ++loads;
      while (held) co_await sleep_for(1ms);
      if (fails) throw RedisUnavailable("the keys are away");
      co_return keys;
    };
  }
  KeyLoader loader() {
    return KeyLoader([this] { return now; });
  }
};

struct Callers : StateWorker {
  Callers() : StateWorker(config_for("none")) {}
};

}  // namespace

TEST_CASE("all that want keys while they are loaded get those", "[token]") {
  Callers callers;
  Source source;
  KeyLoader loader = source.loader();
  Task<KeyLoader::Keys> first = loader.load(source.function());
  Task<KeyLoader::Keys> second = loader.load(source.function());
  callers.make_current();
  first.start();
  CHECK(loader.may_load());
  second.start();
  callers.turn(10ms);
  CHECK_FALSE(second.done());
  source.held = false;
  CHECK(callers.finish(first) == source.keys.keys());
  CHECK(callers.finish(second) == source.keys.keys());
  CHECK(source.loads == 1);
}

TEST_CASE("keys are not loaded again within 10 s", "[token]") {
  Callers callers;
  Source source;
  source.held = false;
  KeyLoader loader = source.loader();
  CHECK(loader.may_load());
  callers.run(loader.load(source.function()));
  source.now += 9'999ms;
  CHECK_FALSE(loader.may_load());
  source.now += 1ms;
  CHECK(loader.may_load());
}

TEST_CASE("keys that cannot be loaded fail all that want them, until they can", "[token]") {
  Callers callers;
  Source source;
  source.fails = true;
  KeyLoader loader = source.loader();
  Task<KeyLoader::Keys> first = loader.load(source.function());
  Task<KeyLoader::Keys> second = loader.load(source.function());
  callers.make_current();
  first.start();
  second.start();
  source.held = false;
  CHECK_THROWS_AS(callers.finish(first), RedisUnavailable);
  CHECK_THROWS_AS(callers.finish(second), RedisUnavailable);
  CHECK(source.loads == 1);
  CHECK_FALSE(loader.may_load());
  CHECK_THROWS_AS(loader.require_loaded(), RedisUnavailable);
  source.fails = false;
  callers.run(loader.load(source.function()));
  loader.require_loaded();
}

TEST_CASE("if the request that loads the keys ends, another one loads them", "[token]") {
  Callers callers;
  Source source;
  KeyLoader loader = source.loader();
  Task<KeyLoader::Keys> first = loader.load(source.function());
  Task<KeyLoader::Keys> second = loader.load(source.function());
  callers.make_current();
  first.start();
  second.start();
  first = {};
  source.held = false;
  CHECK(callers.finish(second) == source.keys.keys());
  CHECK(source.loads == 2);
}

TEST_CASE("a source without keys is an error", "[token]") {
  Callers callers;
  Source source;
  source.held = false;
  source.keys = {};
  KeyLoader loader = source.loader();
  CHECK_THROWS_AS(callers.run(loader.load(source.function())), std::runtime_error);
}
