#include "pronghorn/limit.h"

#include <stdexcept>

namespace pronghorn {

Limit& Limit::named(std::string_view policy) & {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  if (policy.empty() || policy.size() > 64 || policy.find_first_not_of(kAllowed) != std::string_view::npos) {
    throw std::invalid_argument("the name of a limit must be 1 to 64 letters, digits and \"-_.\", not \"" +
                                std::string(policy) + "\"");
  }
  name = policy;
  return *this;
}

}  // namespace pronghorn
