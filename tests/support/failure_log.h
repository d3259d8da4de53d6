// What a server logged, shown when the test that started it has failed.
#pragma once

#include <string>

namespace pronghorn::test {

// Keeps `text` until the running test case ends; prints it then if anything in it has failed. `title` says whose log it
// is.
void show_if_test_fails(std::string title, std::string text);

}  // namespace pronghorn::test
