// Prints the logs of servers when the test that started them fails.
#pragma once

#include <string>

namespace pronghorn::test {

// Keeps `text` until the running test case ends, and prints it under `title` if the test case failed.
void show_if_test_fails(std::string title, std::string text);

}  // namespace pronghorn::test
