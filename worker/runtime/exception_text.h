// Exceptions and types as readable text.
#pragma once

#include <exception>
#include <string>
#include <typeinfo>

namespace pronghorn::worker {

// "shop::Order": the name as it is written in C++.
[[nodiscard]] std::string type_name(const std::type_info& type);

// "std::runtime_error: no such table"; the type alone ("int") if it is not a std::exception. For the log: clients must
// not see it.
[[nodiscard]] std::string describe(const std::exception_ptr& error);

}  // namespace pronghorn::worker
