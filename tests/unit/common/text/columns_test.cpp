#include "common/text/columns.h"

#include "support/catch.h"

using namespace pronghorn;

TEST_CASE("columns are as wide as their longest cell, and no line ends in blanks", "[columns]") {
  CHECK(in_columns({{"METHOD", "PATH", "NAME"}, {"GET", "/a/long/path", ""}, {"POST", "/", "b"}}) ==
        "METHOD  PATH          NAME\n"
        "GET     /a/long/path\n"
        "POST    /             b\n");
  CHECK(in_columns({}).empty());
}

// Cells were measured in bytes.
TEST_CASE("a cell that is not ASCII makes its column no wider than its characters are", "[columns]") {
  CHECK(in_columns({{"PATH", "NAME"}, {"/größe", "a"}, {"/size", "b"}}) ==
        "PATH    NAME\n"
        "/größe  a\n"
        "/size   b\n");
}
