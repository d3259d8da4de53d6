// Names that applications have, beside `using namespace pronghorn`: nothing may be ambiguous. Compiling is the test.
#include "pronghorn/json.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

using json = nlohmann::json;

struct Guard {};
struct Wrap {};
struct After {};
struct Handler {};
struct Hook {};
struct Settings {};
struct Header {};
struct Client {};
struct Exchange {};
struct OpenFile {};
struct Timer {};
static int worker() { return 1; }
static int seconds(int count) { return count; }
static int minutes(int count) { return 60 * count; }

namespace shop {

using namespace pronghorn;

// Names that the API has as well: in a namespace of the application its own win.
struct Event {
  int number = 7;
};
struct Task {
  int number = 8;
};
static int number_of(const Event& event, const Task& task) { return event.number + task.number; }
static Response answer(Request&) { return text(std::to_string(number_of(Event{}, Task{}))); }

}  // namespace shop

using namespace pronghorn;
using namespace std::chrono;
using namespace std::chrono_literals;

TEST_CASE("an application's own names do not clash with those of the API", "[names]") {
  static_cast<void>(Guard{});
  static_cast<void>(Wrap{});
  static_cast<void>(After{});
  static_cast<void>(Handler{});
  static_cast<void>(Hook{});
  static_cast<void>(Settings{});
  static_cast<void>(Header{});
  static_cast<void>(Client{});
  static_cast<void>(Exchange{});
  static_cast<void>(OpenFile{});
  static_cast<void>(Timer{});
  const json value = {{"worker", worker()}};
  CHECK(json_response(value).body() == R"({"worker":1})");
  CHECK(::seconds(1) + ::minutes(1) == 61);
  TestClient client([](App& app) { app.get("/", shop::answer); });
  CHECK(client.get("/").body == "15");
  CHECK(per_client(1, 1min).window == 60s);
}
