// The page that /status answers to a browser.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// One HTML document without anything from elsewhere. It fetches its own address as JSON every second while it is
// visible. Its script and its style carry `nonce`, the only ones that content_security_policy(nonce) lets run.
[[nodiscard]] std::string status_page(std::string_view nonce);
[[nodiscard]] std::string content_security_policy(std::string_view nonce);

// 32 random hex digits. Throws std::system_error when the kernel has no random bytes.
[[nodiscard]] std::string make_nonce();

}  // namespace pronghorn::worker
