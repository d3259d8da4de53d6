#include "worker/runtime/plugin_loader.h"

#include <sys/stat.h>

#include <string>

#include "pronghorn/plugin.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/temp_dir.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using pronghorn::test::TempDir;
using pronghorn::test::write_file;

namespace {

const std::string kApps = test::build_path("/tests/apps/");

std::string error_of(const std::string& path) {
  try {
    static_cast<void>(load_plugin(path));
  } catch (const LoadError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "loaded";
}

}  // namespace

TEST_CASE("an application is loaded and its setup function found", "[plugin]") {
  CHECK(load_plugin(kApps + "deadline.so") != nullptr);
  CHECK(load_plugin(kApps + "throws_in_setup.so") != nullptr);  // loading runs no setup
}

TEST_CASE("a plugin for another API version is refused with both versions", "[plugin]") {
  CHECK(error_of(kApps + "other_api_version.so") ==
        "other_api_version.so: built for Pronghorn API " + std::to_string(kApiVersion + 41) + ", this server has API " +
            std::to_string(kApiVersion) + "; rebuild it with the headers of this server");
}

TEST_CASE("a plugin with another C++ ABI is refused with both", "[plugin]") {
  const std::string error = error_of(kApps + "other_abi.so");
  CHECK(error.find("other_abi.so: built with another C++ ABI (c++abi 900)") == 0);
  CHECK(error.find(PRONGHORN_ABI) != std::string::npos);
}

TEST_CASE("a shared library that is no application is refused with a hint", "[plugin]") {
  CHECK(error_of(kApps + "no_symbol.so") ==
        "no_symbol.so is not a Pronghorn application: it does not export pronghorn_plugin; use PRONGHORN_APP in one of "
        "its sources");
}

TEST_CASE("what cannot be loaded says which file and why", "[plugin]") {
  const TempDir directory;
  CHECK(error_of(directory / "missing.so") == (directory / "missing.so") + ": No such file or directory");
  CHECK(error_of(directory.path()) == directory.path().native() + " is not a file; give the application's .so");
  write_file(directory / "text.so", "#!/bin/sh\n");
  CHECK(error_of(directory / "text.so") ==
        (directory / "text.so") + " is not a shared library; give the application's .so");
  write_file(directory / "empty.so", "");
  CHECK(error_of(directory / "empty.so") ==
        (directory / "empty.so") + " is not a shared library; give the application's .so");
  write_file(directory / "cut.so", std::string("\x7f"
                                               "ELF",
                                               4));
  CHECK(error_of(directory / "cut.so").find("cut.so") != std::string::npos);
}

TEST_CASE("a plugin that lacks a function is refused with the function's name", "[plugin]") {
  const std::string error = error_of(kApps + "undefined_symbol.so");
  CHECK(error.find("undefined_symbol.so cannot be loaded: ") == 0);
  CHECK(error.find("function_that_nobody_defines") != std::string::npos);
}

// Loading it ended the process with SIGBUS.
TEST_CASE("a plugin that was only partly copied is refused with its size", "[plugin]") {
  const TempDir directory;
  const std::string whole = test::read_file(kApps + "deadline.so");
  const std::string path = directory / "app.so";
  for (const std::size_t size : {std::size_t{100}, std::size_t{4096}, whole.size() / 2, whole.size() - 1}) {
    write_file(path, whole.substr(0, size));
    CHECK(error_of(path).starts_with(path + " is truncated: it has " + std::to_string(size) + " bytes of "));
  }
}
