#include "pronghorn/limit.h"

#include <algorithm>
#include <stdexcept>

#include "worker/fields/bearer.h"
#include "worker/state/keys/digest.h"
#include "worker/state/limits/limit_key.h"
#include "worker/state/limits/permits/leases.h"
#include "worker/state/limits/shadow.h"

namespace pronghorn {
namespace {

constexpr std::string_view kLettersAndDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

bool consists_of(std::string_view text, std::string_view others) noexcept {
  return std::ranges::all_of(text, [others](char c) {
    return kLettersAndDigits.find(c) != std::string_view::npos || others.find(c) != std::string_view::npos;
  });
}

// "#" is in no address, so that nobody can choose a value that is another client's address.
std::string of_field(std::string_view value) { return "#" + std::string(value); }

}  // namespace

Limit& Limit::named(std::string_view policy) & {
  if (policy.empty() || policy.size() > 64 || !consists_of(policy, "-_.")) {
    throw std::invalid_argument("the name of a limit must be 1 to 64 letters, digits and \"-_.\", not \"" +
                                std::string(policy) + "\"");
  }
  name = policy;
  return *this;
}

Limit& Limit::leased(std::uint32_t permits) & {
  permits_leased = std::clamp(permits == 0 ? count / 20 : permits, 1U, worker::Leases::kMostPermits);
  return *this;
}

Limit per_header(std::string_view name, std::uint32_t count, std::chrono::milliseconds window) {
  if (name.empty() || name.size() > 256 || !consists_of(name, "!#$%&'*+-.^_`|~")) {
    throw std::invalid_argument("\"" + std::string(name.substr(0, 256)) + "\" is not the name of a field");
  }
  return per_key(count, window, [field = std::string(name)](Request& request) {
    const auto value = request.header(field);
    return value && !value->empty() ? of_field(*value) : worker::client_key(request);
  });
}

Limit per_token(std::uint32_t count, std::chrono::milliseconds window) {
  return per_key(count, window, [](Request& request) {
    const std::string_view token = worker::bearer_token(request.header("Authorization").value_or("")).value_or("");
    return token.empty() ? worker::client_key(request) : of_field(worker::sha256_hex(token));
  });
}

const std::vector<std::string>& shadow_refusals(const Request& request) noexcept {
  static const std::vector<std::string> none;
  const auto* refusals = request.attachment<worker::ShadowRefusals>();
  return refusals != nullptr ? refusals->names : none;
}

}  // namespace pronghorn
