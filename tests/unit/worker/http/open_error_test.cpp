#include "worker/http/open_error.h"

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include "pronghorn/error.h"
#include "pronghorn/response.h"
#include "support/catch.h"
#include "support/no_descriptors.h"
#include "support/temp_dir.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

// The status of the HttpError that file() throws; 0 if it throws none.
int status_of_file(const std::string& path) {
  try {
    static_cast<void>(file(path));
    return 0;
  } catch (const HttpError& error) {
    return error.status();
  }
}

}  // namespace

TEST_CASE("file() is 404 only for what is no file", "[response]") {
  const TempDir folder;
  write_file(folder / "a.txt", "content");
  CHECK(status_of_file(folder / "a.txt") == 0);
  CHECK(status_of_file(folder / "missing") == 404);
  CHECK(status_of_file(folder / "a.txt/b") == 404);
  CHECK(status_of_file(folder / std::string(300, 'x')) == 404);
  CHECK(status_of_file(folder.path()) == 404);
}

// It used to be 404, without a line in the log.
TEST_CASE("file() is 503 when the process has run out of descriptors", "[response]") {
  const TempDir folder;
  write_file(folder / "a.txt", "content");
  const NoDescriptors none_left;
  CHECK(status_of_file(folder / "a.txt") == 503);
}

TEST_CASE("errors of opening a file are told apart", "[response]") {
  CHECK_THROWS_AS(worker::throw_open_error("x", ENOENT), HttpError);
  for (const int error : {EMFILE, ENFILE, ENOMEM}) CHECK(worker::is_shortage(error));
  for (const int error : {EACCES, EIO}) {
    CHECK_FALSE(worker::is_shortage(error));
    CHECK_THROWS_AS(worker::throw_open_error("x", error), std::system_error);
  }
}
