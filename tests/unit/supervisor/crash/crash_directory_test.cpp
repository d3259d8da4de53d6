#include "supervisor/crash/crash_directory.h"

#include <sys/stat.h>

#include <fstream>

#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn::supervisor;
using namespace pronghorn::test;

TEST_CASE("a report is written whole, for its owner and group", "[supervisor][crash]") {
  const TempDir root;
  const std::string data = root / "data";
  REQUIRE(save_report(data, "crash-1.json", "one"));
  REQUIRE(save_report(data, "crash-1.json", "two"));
  CHECK(list_reports(crash_directory(data)) == std::vector<std::string>{"crash-1.json"});
  CHECK(read_file(data + "/crashes/crash-1.json") == "two");
  struct stat facts{};
  REQUIRE(::stat((data + "/crashes/crash-1.json").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0137) == 0);  // at most 0640
}

TEST_CASE("only the newest reports are kept, and other files are not touched", "[supervisor][crash]") {
  const TempDir root;
  for (std::size_t i = 0; i < kKeptReports + 3; ++i) {
    REQUIRE(save_report(root.path(), "crash-" + std::to_string(1000 + i) + ".json", "{}"));
  }
  write_file(root / "crashes/notes.txt", "mine");
  write_file(root / "crashes/crash-0.json.tmp", "half");  // of a supervisor that was killed
  REQUIRE(save_report(root.path(), "crash-2000.json", "{}"));
  const auto names = list_reports(root / "crashes");
  REQUIRE(names.size() == kKeptReports);
  CHECK(names.front() == "crash-1004.json");
  CHECK(names.back() == "crash-2000.json");
  CHECK(read_file(root / "crashes/notes.txt") == "mine");
  CHECK_FALSE(std::ifstream(root / "crashes/crash-0.json.tmp"));
}

TEST_CASE("a directory that cannot be made is an error in one line", "[supervisor][crash]") {
  const TempDir root;
  write_file(root / "file", "");
  const auto saved = save_report(root / "file/data", "crash-1.json", "{}");
  REQUIRE_FALSE(saved);
  CHECK(saved.error().find('\n') == std::string::npos);
  CHECK(list_reports(root / "nowhere").empty());
}
