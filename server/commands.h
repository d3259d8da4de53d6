// What each command does. All return the exit status and throw what run_program turns into one.
#pragma once

#include <stdexcept>
#include <string>

#include "server/command_line.h"

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
  std::string program;  // argv[0]
  void (*setup)(App&);  // null: the application is a plugin
};

int serve(const Invocation& invocation);  // returns when the server has stopped
int check(const Invocation& invocation);
int routes(const Invocation& invocation);
int status(const Invocation& invocation);
int top(const Invocation& invocation);
int scale(const Invocation& invocation);
int reload(const Invocation& invocation);
int drill(const Invocation& invocation);
int quarantine(const Invocation& invocation);
int rollback(const Invocation& invocation);
int stop(const Invocation& invocation);
int crashes(const Invocation& invocation);
int new_project(const Invocation& invocation);

}  // namespace pronghorn::server
