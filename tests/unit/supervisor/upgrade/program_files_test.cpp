#include "supervisor/upgrade/program_files.h"

#include <filesystem>

#include "support/catch.h"
#include "support/processes/process.h"
#include "support/temp_dir.h"

using namespace pronghorn::supervisor;
using namespace pronghorn::test;

TEST_CASE("a program file that is replaced or overwritten is noticed once", "[upgrade]") {
  const TempDir directory;
  const std::string path = directory / "program";
  write_file(path, "first");
  ProgramFiles files({path, directory / "absent"});
  CHECK_FALSE(files.replaced());
  write_file(path + ".new", "second");
  std::filesystem::rename(path + ".new", path);
  CHECK(files.replaced() == path);
  CHECK_FALSE(files.replaced());
  write_file(path, "a third, in place");
  CHECK(files.replaced() == path);
}

TEST_CASE("a program file that is missing for a moment is not a new one", "[upgrade]") {
  const TempDir directory;
  const std::string path = directory / "program";
  write_file(path, "first");
  ProgramFiles files({path});
  std::filesystem::rename(path, path + ".away");
  CHECK_FALSE(files.replaced());
  std::filesystem::rename(path + ".away", path);
  CHECK_FALSE(files.replaced());
}
