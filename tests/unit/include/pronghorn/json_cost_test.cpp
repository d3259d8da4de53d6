// A JSON body of twice the size may cost twice the work and no more, whatever its shape. json_body() once looked
// through the whole parent at the end of each value: a body of 1 MiB, [{},{},...], took longer than 30 s.
//
// Work is counted in calls of functions: this file, with all of nlohmann-json in it, is compiled with
// -finstrument-functions. A program of its own, because another one would have the same inline functions without it.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "pronghorn/app.h"
#include "pronghorn/json.h"
#include "pronghorn/testing.h"

namespace {
std::uint64_t calls = 0;
}

extern "C" {
__attribute__((no_instrument_function)) void __cyg_profile_func_enter(void*, void*) { ++calls; }
__attribute__((no_instrument_function)) void __cyg_profile_func_exit(void*, void*) {}
}

namespace {

using namespace pronghorn;

Task<Response> read_json(Request& request) {
  const auto body = co_await json_body(request);
  co_return text(body.type_name());
}

std::string repeated(std::size_t count, const std::string& before, const std::string& item, const std::string& after) {
  std::string text = before;
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + item;
  return text + after;
}

std::string members(std::size_t count, const std::string& value) {
  std::string text = "{";
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":" + value;
  return text + "}";
}

struct Shape {
  const char* name;
  std::string (*make)(std::size_t count);
};

const Shape kShapes[] = {
    {"empty objects", [](std::size_t count) { return repeated(count, "[", "{}", "]"); }},
    {"empty arrays", [](std::size_t count) { return repeated(count, "[", "[]", "]"); }},
    {"numbers", [](std::size_t count) { return repeated(count, "[", "1.5e3", "]"); }},
    {"strings with escapes", [](std::size_t count) { return repeated(count, "[", R"("\u00e9\n")", "]"); }},
    {"one long string", [](std::size_t count) { return "\"" + std::string(count * 8, 'x') + "\""; }},
    {"members", [](std::size_t count) { return members(count, "1"); }},
    {"members that are objects", [](std::size_t count) { return members(count, "{\"a\":{}}"); }},
    {"one name again and again", [](std::size_t count) { return repeated(count, "{", R"("a":{"b":[]})", "}"); }},
    {"deep towers",
     [](std::size_t count) { return repeated(count / 60, "[", std::string(100, '[') + std::string(100, ']'), "]"); }},
    {"a fault at the end", [](std::size_t count) { return repeated(count, "[", "{}", ","); }},
};

std::uint64_t cost(TestClient& client, const std::string& body) {
  const std::uint64_t before = calls;
  client.post("/", body);
  return calls - before;
}

}  // namespace

int main() {
  TestClient client([](App& app) { app.post("/", read_json).max_body(0); });
  bool linear = true;
  for (const Shape& shape : kShapes) {
    const std::uint64_t once = cost(client, shape.make(2000));
    const std::uint64_t twice = cost(client, shape.make(4000));
    // Members are sorted, which costs a little more than twice.
    const double growth = static_cast<double>(twice) / static_cast<double>(once);
    const bool good = once > 1000 && growth < 2.3;
    std::cout << (good ? "ok      " : "FAILED  ") << shape.name << ": " << once << " calls, then " << twice << " ("
              << growth << " times)\n";
    linear = linear && good;
  }
  return linear ? EXIT_SUCCESS : EXIT_FAILURE;
}
