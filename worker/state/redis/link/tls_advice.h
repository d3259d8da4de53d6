// What an operator does about a TLS connection to Redis that fails.
#pragma once

#include <string>

#include "common/tls/client_failure.h"

namespace pronghorn::worker {

// The failure's text, and which option to look at.
[[nodiscard]] std::string with_advice(const TlsClientFailure& failure);

// Whether no further attempt succeeds until somebody changes the configuration, here or of Redis. An expired certificate
// is none: whoever renews it needs nothing of us.
[[nodiscard]] bool is_misconfigured(const TlsClientFailure& failure) noexcept;

}  // namespace pronghorn::worker
