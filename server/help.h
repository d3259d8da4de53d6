// Help texts, in lines of at most 100 columns.
#pragma once

#include <string>
#include <string_view>

#include "server/command_line.h"

namespace pronghorn::server {

// `program` is the name by which the program was called; `embedded` as for parse_command.
[[nodiscard]] std::string command_help(const Command& command, std::string_view program, bool embedded);
[[nodiscard]] std::string program_help(std::string_view program, bool embedded);

}  // namespace pronghorn::server
