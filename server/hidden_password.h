// Keeps the Redis password out of /proc/PID/cmdline, which every user of the machine can read.
#pragma once

#include <string>
#include <vector>

namespace pronghorn::server {

// The variable that carries the URL to the next image of the program, whose command line is masked. Only the user of
// the process can read its environment.
inline constexpr const char* kHiddenRedisVariable = "PRONGHORN_HIDDEN_REDIS";

// Returns the arguments after the program's name. Overwrites the password of each redis:// URL in `argv` with asterisks
// and puts the last such URL into the environment; if the password is masked already, takes the URL from there. Call it
// on the main thread, before any other thread starts.
[[nodiscard]] std::vector<std::string> take_arguments(int argc, char** argv);

}  // namespace pronghorn::server
