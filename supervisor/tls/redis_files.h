// The certificates and the key for Redis over TLS.
#pragma once

#include "common/config/config.h"

namespace pronghorn::supervisor {

// Reads the files of redis_ca, redis_certificate and redis_key into `config`, if redis is a rediss:// URL, and checks
// that they are good for a connection. Workers get the contents and never open the files: as another user they may be
// unable to, and a connection that is made later must not fail for that. Files that do not fit each other are read
// again, up to three times within 200 ms.
//
// Throws std::runtime_error with one line that names the option and the file. Blocks for that time.
// Context: supervisor, main thread; at start before the user changes.
void read_redis_files(Config& config);

// Whether this process may read them without a privilege.
[[nodiscard]] bool can_read_redis_files(const Config& config) noexcept;

}  // namespace pronghorn::supervisor
