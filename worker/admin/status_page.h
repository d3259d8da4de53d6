// The page that browsers get from /status.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// One HTML document, headed by the application's name, that loads nothing else. While it is visible, it fetches its own
// address as JSON every second. Its script and style carry `nonce`; content_security_policy(nonce) allows no others.
[[nodiscard]] std::string status_page(std::string_view name, std::string_view nonce);
[[nodiscard]] std::string content_security_policy(std::string_view nonce);

}  // namespace pronghorn::worker
