// The program and the library as the linker made them: exported symbols, SONAME, hardening, search paths.
#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

const std::string kLibrary = build_path("/libpronghorn.so");

std::string output_of(const std::vector<std::string>& command) {
  const ProgramResult result = run_program(command);
  INFO(result.err);
  REQUIRE(result.status == 0);
  return result.out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream all(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  return lines;
}

// The classes and functions that the public headers mark with PRONGHORN_API.
std::set<std::string> marked_names() {
  // A single colon follows a class's name, not a function's return type.
  static const std::regex kMark(
      R"(PRONGHORN_API\s+(?:(?:[^;{(:]|::)*?[\s*&~])?([A-Za-z_]\w*)\s*(?:[({]|:(?!:))|PRONGHORN_API\s+~(\w+))");
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source_path("/include/pronghorn"))) {
    if (!entry.is_regular_file()) continue;
    const std::string text = read_file(entry.path());
    for (std::sregex_iterator mark(text.begin(), text.end(), kMark), end; mark != end; ++mark) {
      names.insert((*mark)[1].matched ? (*mark)[1].str() : (*mark)[2].str());
    }
  }
  return names;
}

// "pronghorn::detail::Timer::arm(…)" is {"Timer", "arm"}. Empty for a name outside the public namespaces.
std::vector<std::string> parts_of(std::string name) {
  name = name.substr(0, name.find_first_of("([<"));
  std::vector<std::string> parts;
  for (std::size_t at = 0; at != std::string::npos;) {
    const auto next = name.find("::", at);
    parts.push_back(name.substr(at, next == std::string::npos ? next : next - at));
    at = next == std::string::npos ? next : next + 2;
  }
  if (parts.front() != "pronghorn" || parts.size() < 2) return {};
  parts.erase(parts.begin());
  if (parts.size() > 1 && (parts.front() == "detail" || parts.front() == "log")) parts.erase(parts.begin());
  return parts;
}

bool is_public(std::string symbol, const std::set<std::string>& marked) {
  for (const std::string_view of_class : {"typeinfo for ", "typeinfo name for ", "vtable for "}) {
    if (!symbol.starts_with(of_class)) continue;
    const auto parts = parts_of(symbol.substr(of_class.size()));
    return parts.size() == 1 && marked.contains(parts.front());
  }
  const auto parts = parts_of(symbol);
  if (parts.empty() || parts.size() > 3) return false;  // 3: a member of a class in a class
  return marked.contains(parts.front()) || marked.contains(parts.back());
}

}  // namespace

TEST_CASE("libpronghorn.so exports the public API and nothing else", "[packaging]") {
  const auto marked = marked_names();
  REQUIRE(marked.contains("Request"));
  REQUIRE(marked.contains("redirect"));
  const auto symbols = lines_of(output_of({"nm", "-D", "-C", "--defined-only", kLibrary}));
  REQUIRE(symbols.size() > 100);
  for (const std::string& line : symbols) {
    const std::string symbol = line.substr(line.find(' ') + 3);  // "ADDRESS T NAME"
    INFO(symbol);
    CHECK(is_public(symbol, marked));
  }
}

TEST_CASE("the library's SONAME carries the minor version, which may break the ABI", "[packaging]") {
  const std::string version = output_of({program_path(), "--version"});  // "pronghorn 0.1.0"
  std::smatch match;
  REQUIRE(std::regex_search(version, match, std::regex(R"((\d+)\.(\d+)\.\d+)")));
  const std::string soname = "libpronghorn.so." + match[1].str() + "." + match[2].str();
  CHECK(output_of({"readelf", "-d", kLibrary}).find("Library soname: [" + soname + "]") != std::string::npos);
  CHECK(output_of({"readelf", "-d", program_path()}).find("Shared library: [" + soname + "]") != std::string::npos);
}

TEST_CASE("program, library and plugins are hardened", "[packaging]") {
  const std::string file = GENERATE(program_path(), kLibrary, app_path("demo"), app_path("apps/files"));
  INFO(file);
  const std::string dynamic = output_of({"readelf", "-W", "-d", file});
  const std::string segments = output_of({"readelf", "-W", "-l", file});
  CHECK(dynamic.find("BIND_NOW") != std::string::npos);
  CHECK(dynamic.find("TEXTREL") == std::string::npos);
  CHECK(segments.find("GNU_RELRO") != std::string::npos);
  CHECK(std::regex_search(segments, std::regex("GNU_STACK .* RW +0x")));
  if (file == program_path()) CHECK(dynamic.find("Flags: NOW PIE") != std::string::npos);
}

TEST_CASE("library and plugins are compiled with stack protection and checked buffers", "[packaging]") {
  const std::string imports = output_of({"nm", "-D", "--undefined-only", kLibrary});
  CHECK(imports.find("__stack_chk_fail") != std::string::npos);
  CHECK(std::regex_search(imports, std::regex(R"(__(memcpy|read|recv|snprintf|memmove|readlink)_chk)")));
  CHECK(output_of({"nm", "-D", "--undefined-only", app_path("demo")}).find("__stack_chk_fail") != std::string::npos);
}

TEST_CASE("no library is searched in the working directory", "[packaging]") {
  const std::string file = GENERATE(program_path(), kLibrary, app_path("demo"), build_path("/examples/embedded"));
  INFO(file);
  const std::string dynamic = output_of({"readelf", "-W", "-d", file});
  std::smatch match;
  if (!std::regex_search(dynamic, match, std::regex(R"(\(R(?:UN)?PATH\).*\[(.*)\])"))) return;
  const std::string paths = match[1].str() + ":";
  for (std::size_t at = 0; at < paths.size(); at = paths.find(':', at) + 1) {
    const std::string element = paths.substr(at, paths.find(':', at) - at);
    INFO(paths);
    CHECK((element.starts_with('/') || element.starts_with("$ORIGIN")));
  }
}

TEST_CASE("a plugin can be served from a private copy", "[packaging]") {
  // Build folders that can be moved put $ORIGIN into every RUNPATH; plugins were then served in place.
  const std::string file = GENERATE(app_path("demo"), app_path("hello"), app_path("apps/files"));
  INFO(file);
  CHECK(output_of({"readelf", "-W", "-d", file}).find("$ORIGIN") == std::string::npos);
}
