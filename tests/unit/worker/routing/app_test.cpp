// What the setup function can add.
#include "pronghorn/app.h"

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

std::string hook_log;

void hooks(App& app) {
  app.on_start([](Worker& worker) -> Task<void> {
    hook_log += "start1(" + std::to_string(worker.slot()) + "," + std::to_string(worker.generation()) + ") ";
    co_await sleep_for(1ms);
    hook_log += "started1 ";
    CHECK_THROWS_AS(worker.redis(), std::logic_error);
  });
  app.on_start([](Worker&) -> Task<void> {
    hook_log += "start2 ";
    co_return;
  });
  app.on_stop([](Worker&) -> Task<void> {
    co_await sleep_for(1ms);
    hook_log += "stop1 ";
  });
  app.on_stop([](Worker&) -> Task<void> {
    hook_log += "stop2 ";
    throw std::runtime_error("told in the log of this test");
    co_return;
  });
  app.get("/", [](Request&) { return text("up"); });
}

void failing_start(App& app) {
  app.on_start([](Worker&) -> Task<void> {
    co_await sleep_for(1ms);
    throw std::runtime_error("no warehouse");
  });
}

}  // namespace

TEST_CASE("start hooks run in order, stop hooks in reverse order whatever they throw", "[application][hooks]") {
  hook_log.clear();
  {
    TestClient client(hooks);
    CHECK(client.get("/").body == "up");
  }
  CHECK(hook_log == "start1(0,1) started1 start2 stop2 stop1 ");
}

TEST_CASE("what a start hook throws ends the start", "[application][hooks]") {
  CHECK_THROWS_WITH(TestClient(failing_start), "no warehouse");
}

TEST_CASE("what setup throws ends the start, with the mistake in one line", "[application][setup]") {
  const auto error_of = [](void (*setup)(App&)) -> std::string {
    try {
      const TestClient client(setup);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK(error_of([](App& app) {
          app.get("/a", [](Request&) { return text(""); });
          app.get("/a", [](Request&) { return text(""); });
        }) == "route \"GET /a\" already exists");
  CHECK(error_of([](App& app) { static_cast<void>(app.group("api")); }) ==
        "group \"api\": a prefix begins with '/' and does not end with one");
  CHECK(error_of([](App& app) { static_cast<void>(app.group("/api/")); }) ==
        "group \"/api/\": a prefix begins with '/' and does not end with one");
  CHECK(error_of([](App& app) { app.get("/a", [](Request&) { return text(""); }).limit(per_client(0, 1s)); }) ==
        "route \"GET /a\": a limit needs a count and a window above zero, not 0 per 1000 ms");
  CHECK(error_of([](App& app) {
          app.get("/a", [](Request&) { return text(""); }).limit(per_client(100, 1s).concurrent().leased());
        }) == "route \"GET /a\": a concurrency limit cannot be leased(): its requests end one by one");
  CHECK(error_of([](App& app) { app.get("/a", std::function<Response(Request&)>{}); }) ==
        "route \"GET /a\": the handler is empty");
  CHECK(error_of([](App& app) { app.on_start(std::function<void()>{}); }) == "on_start(): the hook is empty");
  CHECK(error_of([](App& app) { app.every(0ms, [] {}); }) == "every(0 ms): the period must be at least 1 ms");
  CHECK(error_of([](App& app) { app.use(Middleware::Guard{}); }) == "use(): the middleware is empty");
  CHECK(error_of([](App& app) {
          app.state<int>();
          app.state<int>();
        }) == "state<int>(): there is a state of type int already");
  CHECK(error_of([](App& app) { app.serve_files("/f", "/no/such/folder"); }) ==
        "serve_files: the folder \"/no/such/folder\": No such file or directory");
}

TEST_CASE("settings of the application reach it", "[application][setup]") {
  TestClient client(
      [](App& app) {
        const std::string greeting = app.settings().get("greeting").value_or("none");
        const std::string other = app.settings().get("other").value_or("none");
        app.get("/", [greeting, other](Request&) { return text(greeting + " " + other); });
      },
      {.settings = {{"greeting", "hi"}}});
  CHECK(client.get("/").body == "hi none");
}

TEST_CASE("group prefixes add up and may hold parameters", "[application][setup]") {
  TestClient client([](App& app) {
    auto shop = app.group("/shops/{shop}");
    auto items = shop.group("/items");
    items.get("", [](Request& request) { return text(request.param<std::string>("shop")); });
    items.del("/{item}", [](Request& request) {
      return text(request.param<std::string>("shop") + request.param<std::string>("item"));
    });
    items.put("/{item}", [](Request&) { return no_content(); });
    items.patch("/{item}", [](Request&) { return no_content(); });
    items.route("PURGE", "/", [](Request&) { return no_content(); });
  });
  CHECK(client.get("/shops/a%20b/items").body == "a b");
  CHECK(client.request("DELETE", "/shops/7/items/x").body == "7x");
  CHECK(client.request("PUT", "/shops/7/items/x").status == 204);
  CHECK(client.request("PATCH", "/shops/7/items/x").status == 204);
  CHECK(client.request("PURGE", "/shops/7/items/").status == 204);
}

TEST_CASE("the groups \"\" and \"/\" are the enclosing group with middleware of their own", "[application][setup]") {
  for (const char* prefix : {"", "/"}) {
    TestClient client([prefix](App& app) {
      auto guarded = app.group(prefix);
      guarded.use([](Request&) -> std::optional<Response> { return problem(403); });
      guarded.get("/inside", [](Request&) { return text("in"); });
      app.get("/outside", [](Request&) { return text("out"); });
    });
    CHECK(client.get("/inside").status == 403);
    CHECK(client.get("/outside").body == "out");
  }
}

TEST_CASE("middleware of a route runs for that route, after that of its groups", "[application][setup]") {
  const auto mark = [](const char* name) {
    return [name](Request& request) -> std::optional<Response> {
      const std::string* before = request.attachment<std::string>();
      request.attach((before ? *before : std::string()) + name);
      return std::nullopt;
    };
  };
  TestClient client([&](App& app) {
    const auto show = [](Request& request) { return text(*request.attachment<std::string>()); };
    app.get("/one", show).use(mark("b")).use(mark("c")).use([](Request&, Response& response) {
      response.set("X-After", "one");
    });
    app.get("/two", show);
    app.use(mark("a"));
  });
  CHECK(client.get("/one").body == "abc");
  CHECK(client.get("/one").header("X-After") == "one");
  CHECK(client.get("/two").body == "a");
  CHECK(client.get("/two").header("X-After").empty());
}

TEST_CASE("hooks may be plain functions or coroutines, with the worker or without", "[application][hooks]") {
  std::string log;
  {
    TestClient client([&log](App& app) {
      app.on_start([&log] { log += "plain "; });
      app.on_start([&log](Worker& worker) { log += "plain" + std::to_string(worker.slot()) + " "; });
      app.on_start([&log]() -> Task<void> {
        co_await sleep_for(1ms);
        log += "coroutine ";
      });
      app.on_start([&log](Worker&) -> Task<void> {
        co_await sleep_for(1ms);
        log += "coroutine0 ";
      });
      app.on_drain([&log](Worker& worker) { log += worker.draining() ? "draining " : "? "; });
      app.on_stop([&log] { log += "stopped"; });
    });
    CHECK(log == "plain plain0 coroutine coroutine0 ");
    log.clear();
  }
  CHECK(log == "draining stopped");
}

// --- state ---

namespace {

std::string life;

struct Prices {
  explicit Prices(int first) : price(first) { life += "prices "; }
  Prices(const Prices&) = delete;
  Prices& operator=(const Prices&) = delete;
  ~Prices() { life += "~prices "; }
  int price;
};

struct Shop {
  explicit Shop(Prices& shared) : prices(&shared) { life += "shop "; }
  Shop(Shop&& other) noexcept : prices(std::exchange(other.prices, nullptr)) {}
  Shop& operator=(Shop&&) = delete;
  ~Shop() {
    if (prices != nullptr) life += "~shop ";
  }
  Prices* prices;
};

Task<void> use_until_destroyed(Shop& shop) {
  struct Last {
    Shop& shop;
    ~Last() { life += "task:" + std::to_string(shop.prices->price) + " "; }
  };
  const Last last{shop};
  co_await sleep_for(1h);
}

void with_state(App& app) {
  app.state<Prices>([] { return Prices(3); });
  app.state<Shop>([](Worker& worker) -> Task<Shop> {
    co_await sleep_for(1ms);
    co_return Shop(worker.state<Prices>());
  });
  app.state<std::string>();
  app.on_start([](Worker& worker) { life += "start:" + std::to_string(worker.state<Shop>().prices->price) + " "; });
  app.on_stop([](Worker& worker) { life += "stop:" + std::to_string(worker.state<Shop>().prices->price) + " "; });
  app.get("/price", [](Request& request) { return text(std::to_string(request.state<Shop>().prices->price++)); });
  app.get("/none", [](Request& request) { return text(std::to_string(request.state<double>())); });
  app.get("/spawn", [](Request& request) {
    spawn(use_until_destroyed(request.state<Shop>()));
    return no_content();
  });
}

}  // namespace

TEST_CASE("state is made before the start hooks and destroyed last, in reverse order", "[application][state]") {
  life.clear();
  {
    TestClient client(with_state);
    CHECK(life == "prices shop start:3 ");
    CHECK(client.get("/price").body == "3");
    CHECK(client.get("/price").body == "4");
    CHECK(client.get("/spawn").status == 204);
    life.clear();
  }
  CHECK(life == "stop:5 task:5 ~shop ~prices ");
}

TEST_CASE("each worker has its own state", "[application][state]") {
  TestClient first(with_state);
  TestClient second(with_state);
  CHECK(first.get("/price").body == "3");
  CHECK(first.get("/price").body == "4");
  CHECK(second.get("/price").body == "3");
}

TEST_CASE("a state that does not exist is a mistake of the application", "[application][state]") {
  TestClient client(with_state);
  CHECK(client.get("/none").status == 500);
}

TEST_CASE("what making the state throws ends the start", "[application][state]") {
  CHECK_THROWS_WITH(TestClient([](App& app) { app.state<int>([]() -> int { throw std::runtime_error("no stock"); }); }),
                    "no stock");
}
