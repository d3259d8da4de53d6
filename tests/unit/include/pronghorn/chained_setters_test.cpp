// What chained setters return. A setter that returned a reference to its temporary made `const auto& r =
// text("a").set(...)` dangle.
#include <chrono>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "pronghorn/pronghorn.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

template <class T>
constexpr bool kIsValue = !std::is_reference_v<T>;

static_assert(kIsValue<decltype(text("a").status(201))>);
static_assert(kIsValue<decltype(text("a").set("A", "b"))>);
static_assert(kIsValue<decltype(text("a").append("A", "b"))>);
static_assert(kIsValue<decltype(text("a").remove("A"))>);
static_assert(kIsValue<decltype(text("a").cookie("a", "b"))>);
static_assert(kIsValue<decltype(text("a").body("b"))>);
static_assert(kIsValue<decltype(text("a").content_type("text/csv"))>);
static_assert(kIsValue<decltype(conflict("a").set("A", "b"))>);
static_assert(kIsValue<decltype(conflict("a").retry_after(1))>);
static_assert(kIsValue<decltype(Limit().named("a"))>);
static_assert(kIsValue<decltype(Limit().sliding())>);
static_assert(kIsValue<decltype(Limit().bucket())>);
static_assert(kIsValue<decltype(Limit().gcra())>);
static_assert(kIsValue<decltype(Limit().concurrent())>);
static_assert(kIsValue<decltype(Limit().deny_when_unavailable())>);
static_assert(kIsValue<decltype(Limit().shadow())>);
static_assert(kIsValue<decltype(Limit().leased())>);
static_assert(kIsValue<decltype(Command("GET").add("a"))>);
static_assert(kIsValue<decltype(std::declval<Route>().max_body(1))>);
static_assert(kIsValue<decltype(std::declval<WebSocketRoute>().max_rate(1))>);

TEST_CASE("a reference to the result of chained setters stays valid") {
  const auto& response = text("made", 201).set("Location", "/users/7").cookie("a", "b");
  CHECK(response.body() == "made");
  CHECK(response.header("Location") == "/users/7");

  const auto& error = conflict("again").set("Accept", "text/csv").retry_after(3);
  CHECK(std::string(error.what()) == "again");
  CHECK(error.fields().size() == 2);

  const auto& limit = per_client(100, 1min).named("burst").gcra().shadow();
  CHECK(limit.name == "burst");
  CHECK(limit.never_refuses);

  const auto& command = Command("GET").add("key");
  CHECK(command.words() == std::vector<std::string>{"GET", "key"});
}

TEST_CASE("setters change a response that has a name, and return it") {
  Response response = text("a");
  CHECK(&response.set("A", "b") == &response);
  CHECK(response.header("A") == "b");
}

}  // namespace
