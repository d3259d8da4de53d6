#include "supervisor/crash/stack/stack_frames.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "supervisor/crash/stack/dwarf_names.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

TEST_CASE("addresses are told by the file that they are in", "[supervisor][crash]") {
  const auto stack = std::make_unique<StackTrace>();
  const auto modules = std::make_unique<ModuleTable>();
  Module& module = modules->modules[0];
  module.bias = 0x1000;
  module.begin = 0x2000;
  module.end = 0x3000;
  module.build_id_size = 2;
  module.build_id = {0xAB, 0x01};
  copy_text(module.path, "/srv/app.so");
  modules->count.store(1);
  stack->addresses[0] = 0x2468;
  stack->addresses[1] = 0x3000;  // behind the end
  stack->count.store(2);
  const auto frames = frames_of(*stack, *modules);
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].module == "/srv/app.so");
  CHECK(frames[0].offset == 0x1468);
  CHECK(frames[0].build_id == "ab01");
  CHECK(describe(frames[0]) == "app.so+0x1468");
  CHECK(describe(frames[1]) == "at 0x3000");
}

TEST_CASE("counts beyond the arrays are not believed", "[supervisor][crash]") {
  const auto stack = std::make_unique<StackTrace>();
  const auto modules = std::make_unique<ModuleTable>();
  stack->count.store(UINT32_MAX);
  modules->count.store(UINT32_MAX);
  CHECK(frames_of(*stack, *modules).size() == kMaxFrames);
}

TEST_CASE("frames survive the way to the process that names them", "[supervisor][crash]") {
  Frame frame;
  frame.address = UINT64_MAX;
  frame.module = "/srv/\xff.so";
  frame.function = "f(int)";
  frame.file = "a.cpp";
  frame.line = 3;
  frame.inlined = true;
  const auto back = frames_from_json(to_json({frame}));
  REQUIRE(back.size() == 1);
  CHECK(back[0].address == UINT64_MAX);
  CHECK(back[0].module == frame.module);
  CHECK(back[0].function == "f(int)");
  CHECK(back[0].line == 3);
  CHECK(back[0].inlined);
  CHECK_THROWS(frames_from_json(nlohmann::json::parse(R"([{"address":"x"}])")));
}

TEST_CASE("the first function outside the C library is named", "[supervisor][crash]") {
  std::vector<Frame> frames(2);
  frames[0].module = "/lib/libc.so.6";
  frames[0].function = "abort";
  frames[1].module = "/srv/app.so";
  frames[1].function = "handler";
  CHECK(top_function(frames) == "handler");
  CHECK(describe_top(frames) == "handler");
  CHECK(top_function({}).empty());
}

TEST_CASE("a log shows the application's part of a stack", "[supervisor][crash]") {
  const auto frame = [](const char* module, const char* function) {
    Frame made;
    made.module = module;
    made.function = function;
    return made;
  };
  const auto telling = telling_frames(
      {frame("/lib/libc.so.6", "raise"), frame("/srv/app.so", "f(int)"), frame("/srv/app.so", "f(int)"),
       frame("/srv/app.so", "handler"), frame("/srv/app.so", "int std::__invoke_impl<int, int (*)()>(int (*)())"),
       frame("/lib/libpronghorn.so.0", "run"), frame("/lib/libpronghorn.so.0", "main")});
  REQUIRE(telling.size() == 2);
  CHECK(telling[0].function == "f(int)");
  CHECK(telling[1].function == "handler");
  CHECK(describe_top(telling) == "f(int) < handler");
}

// A stack overflow filled the log with a hundred lines.
TEST_CASE("a log shows each function of a recursion once", "[supervisor][crash]") {
  std::vector<Frame> frames;
  for (int depth = 0; depth < 40; ++depth) {
    for (const char* function : {"parse_value(Text&)", "parse_list(Text&)", ""}) {
      Frame& frame = frames.emplace_back();
      frame.module = "/srv/app.so";
      frame.function = function;
      frame.offset = 0x1a2b;
    }
  }
  Frame& other = frames.emplace_back();
  other.module = "/srv/app.so";
  other.offset = 0x1a2c;
  const auto telling = telling_frames(frames);
  REQUIRE(telling.size() == 4);
  CHECK(telling[0].function == "parse_value(Text&)");
  CHECK(telling[1].function == "parse_list(Text&)");
  CHECK(telling[2].offset == 0x1a2b);
  CHECK(telling[3].offset == 0x1a2c);
}

TEST_CASE("a stack without the application shows the libraries", "[supervisor][crash]") {
  Frame frame;
  frame.module = "/lib/libc.so.6";
  frame.function = "raise";
  CHECK(describe_top({frame}) == "raise");
}

TEST_CASE("names in a log have no template arguments and no long parameters", "[supervisor][crash]") {
  CHECK(short_name("demo::(anonymous namespace)::crash(pronghorn::Request&)") ==
        "demo::(anonymous namespace)::crash(pronghorn::Request&)");
  CHECK(short_name("void visit<std::vector<std::pair<int, long>>, A>::run<B>(int)") == "void visit<…>::run<…>(int)");
  CHECK(short_name("shop::pay(std::vector<int> const&, std::string_view, std::chrono::duration<long>, long)") ==
        "shop::pay(…)");
  CHECK(short_name("std::ostream& operator<<(std::ostream&)") == "std::ostream& operator<<(std::ostream&)");
  CHECK(short_name("x::operator->()") == "x::operator->()");
  CHECK(short_name("demo::crash(Request&) [clone .cold]") == "demo::crash(Request&)");
}

// The log and "pronghorn crashes" named nearly every handler twice, with the mangled name of its frame.
TEST_CASE("a coroutine is named as in its source", "[supervisor][crash]") {
  CHECK(short_name(
            "shop::pay(shop::pay(pronghorn::Request&)::_ZN4shop3payERN9pronghorn7RequestE.Frame*) [clone .actor]") ==
        "shop::pay(pronghorn::Request&)");
  CHECK(short_name("A<int>::run(A<int>::run(void (*)(int))::_ZN1AIiE3runEPFviE.Frame*) [clone .actor] [clone .cold]") ==
        "A<…>::run(void (*)(int))");
  CHECK(short_name("add(App&)::{lambda(Request&)#1}::operator()(add(App&)::{lambda(Request&)#1}::operator()(Request&) "
                   "const::_ZZ3addR3AppENKUlR7RequestE_clES2_.Frame*) [clone .actor]") ==
        "add(App&)::{lambda(Request&)#1}::operator()(Request&) const");
  CHECK(short_name("draw(Picture.Frame*)") == "draw(Picture.Frame*)");
  CHECK(short_name("::_Z.Frame*)") == "::_Z.Frame*)");

  std::vector<Frame> frames(2);
  frames[0].module = frames[1].module = "/srv/app.so";
  frames[0].function = "pay(pay(Request&)::_Z3payR7Request.Frame*) [clone .actor]";
  frames[1].function = "pay(Request&)";  // which has started it
  CHECK(describe_top(frames) == "pay(Request&)");
}

TEST_CASE("a file that cannot be read gives no names and no error", "[supervisor][crash]") {
  std::vector<Frame> frames(2);
  frames[0].module = "/nonexistent.so";
  frames[0].address = 0x1000;
  frames[1].module = "/etc/passwd";
  frames[1].address = 0x2000;
  const auto named = add_names(frames);
  REQUIRE(named.size() == 2);
  CHECK(named[0].function.empty());
  CHECK(named[1].function.empty());
}
