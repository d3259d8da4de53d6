// The plain fast path allocates nothing: counted by replacing operator new for the whole test program. Under
// AddressSanitizer, which replaces it itself, its hook counts.
#include <cstdlib>
#include <new>

#include "common/ipc/scoreboard.h"
#include "pronghorn/app.h"
#include "support/catch.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/routing/served_app.h"

namespace {
thread_local std::size_t allocations = 0;
}

#ifdef PRONGHORN_ADDRESS_SANITIZER
// GCC does not install the header that declares it (sanitizer/allocator_interface.h).
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, std::size_t),
                                                         void (*freed)(const volatile void*));
namespace {
[[maybe_unused]] const int kHooks = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { ++allocations; }, [](const volatile void*) {});
}  // namespace
#else
// Not inline: GCC 12 would take a free() seen through delete for a mistake.
// NOLINTBEGIN(misc-definitions-in-headers,cert-dcl54-cpp)
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(misc-definitions-in-headers,cert-dcl54-cpp)
#endif

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

struct LastStatus final : ExchangeOwner {
  void respond(Exchange& exchange, Response&& response) override {
    exchange.responded = true;
    status = response.status();
  }
  void want_body(Exchange&) override {}
  int status = 0;
};

void plain(App& app) {
  app.use([](Request& request) -> std::optional<Response> {
    if (request.method() == "TRACE") return no_content();
    return std::nullopt;
  });
  app.use([](Request&, Response&) {});
  app.get("/hello", [](Request&) { return text("Hello, World!"); });
  app.get("/users/{id}/posts/{post}", [](Request& request) {
    return request.param<int>("id") == 7 && request.param("post") == "latest" ? no_content() : Response(404);
  });
}

}  // namespace

TEST_CASE("an allocation is counted", "[application][fast_path]") {
  const std::size_t before = allocations;
  const auto memory = std::make_unique<Config>();
  CHECK(allocations > before);
}

TEST_CASE("a plain handler with guards and parameters is served without an allocation", "[application][fast_path]") {
  const Config config;
  const auto row = std::make_unique<WorkerRow>();
  ServedApp application(config, *row, plain);
  const auto table = std::make_unique<QuarantineTable>();
  QuarantineGate gate(*table, *row);
  application.use_quarantine(gate);
  LastStatus owner;
  Exchange exchange;
  exchange.owner = &owner;
  for (const auto& [path, status] : {std::pair{"/hello", 200}, std::pair{"/users/7/posts/latest", 204}}) {
    INFO(path);
    const std::string head = std::string("GET ") + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    std::size_t counted = SIZE_MAX;
    for (int round = 0; round < 3; ++round) {  // the first may warm things up
      REQUIRE(parse_head(head, head.find('\r'), config.http, exchange.head).status == 0);
      const std::size_t before = allocations;
      application.handle(exchange);
      counted = allocations - before;
      exchange.clear();
      CHECK(owner.status == status);
    }
    CHECK(counted == 0);
  }
}
