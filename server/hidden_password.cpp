#include "server/hidden_password.h"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <string_view>

namespace pronghorn::server {
namespace {

// The password within an argument such as "--redis=redis://user:password@host"; empty if there is none.
std::span<char> password_in(char* argument) {
  const std::string_view text(argument);
  const std::size_t scheme = text.find("redis");
  const std::size_t begin = scheme == std::string_view::npos ? scheme : text.find("://", scheme);
  if (begin == std::string_view::npos) return {};
  const std::size_t authority = begin + 3;
  const std::size_t end = text.substr(0, text.find('/', authority)).rfind('@');
  const std::size_t colon = text.find(':', authority);
  if (end == std::string_view::npos || end < authority || colon == std::string_view::npos || colon >= end) return {};
  return {argument + colon + 1, end - colon - 1};
}

}  // namespace

std::vector<std::string> take_arguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) {
    const std::span<char> password = password_in(argv[i]);
    std::string argument = argv[i];
    const char* const hidden = std::getenv(kHiddenRedisVariable);
    if (!password.empty() && std::ranges::all_of(password, [](char c) { return c == '*'; })) {
      if (hidden != nullptr) argument = hidden;
    } else if (!password.empty()) {
      ::setenv(kHiddenRedisVariable, argv[i], 1);
      std::ranges::fill(password, '*');
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

}  // namespace pronghorn::server
