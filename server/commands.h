// The commands. Each returns the exit status; detail::run() (program.cpp) turns exceptions into one.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "server/command_line.h"
#include "server/options/load_configuration.h"

namespace pronghorn {
class App;
}

namespace pronghorn::server {

// The application cannot start: exit status 3.
class ApplicationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Invocation {
  const ParsedCommand& parsed;
  std::string program;  // the file name in argv[0]
  void (*setup)(App&);  // null: the application is a plugin
};

// Writes to standard output. A failure (full disk, closed pipe) is found at the end: the program then exits with 1.
void print(std::string_view text);
// The sources of this invocation's configuration.
[[nodiscard]] ConfigInputs inputs_of(const Invocation& invocation);

// server/application_commands.cpp
int serve(const Invocation& invocation);  // returns when the server has stopped
int check(const Invocation& invocation);
int routes(const Invocation& invocation);
int new_project(const Invocation& invocation);
int certificate(const Invocation& invocation);

// server/operator_commands.cpp
int status(const Invocation& invocation);
int top(const Invocation& invocation);
int requests(const Invocation& invocation);
int log_level(const Invocation& invocation);
int scale(const Invocation& invocation);
int reload(const Invocation& invocation);
int rollback(const Invocation& invocation);
int drill(const Invocation& invocation);
int quarantine(const Invocation& invocation);
int jobs(const Invocation& invocation);
int stop(const Invocation& invocation);
int upgrade(const Invocation& invocation);
int crashes(const Invocation& invocation);

// server/program.cpp
int help(const Invocation& invocation);
int version(const Invocation& invocation);

}  // namespace pronghorn::server
