// The program in a place of its own, where a test can replace it while it runs.
#pragma once

#include <filesystem>
#include <string>

#include "support/paths.h"
#include "support/processes/process.h"
#include "support/processes/server_process.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

struct DeployedProgram {
  TempDir directory;
  std::string path = directory / "pronghorn";
  Environment environment{{"LD_LIBRARY_PATH", build_path("")}};  // where it finds its library

  DeployedProgram() { deploy(program_path()); }
  // Puts a copy of that file in its place.
  void deploy(const std::string& from) const {
    std::filesystem::copy_file(from, path + ".new", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::rename(path + ".new", path);
  }
};

}  // namespace pronghorn::test
