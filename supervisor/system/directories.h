// The server's own directories, and who may use them.
#pragma once

#include <chrono>
#include <string>

#include "supervisor/system/fd.h"

namespace pronghorn::supervisor {

// Makes the directory (and what is above it) with mode 0700. One that exists must be writable, ours or root's, and when
// everybody may write there it needs the sticky bit: else others could replace our sockets and data. A group may write,
// for that is how umask 002 and Kubernetes' fsGroup make it. `option` is the name of the option in the message. Throws
// ConfigurationError.
void make_private_directory(const std::string& path, const char* option);

// Claims a directory of ours for as long as the descriptor, or an inherited copy, is open: a file `lock` in it holds
// our pid. Throws ConfigurationError when another server has it.
[[nodiscard]] Fd lock_directory(const std::string& path, const char* option);

// The same for the embedded Redis and its data: the file `redis.lock`, of which Redis inherits a copy, so that it lasts
// as long as any process that may write there. The Redis of a server that was killed is waited for, at most `patience`;
// then throws std::runtime_error, which is no mistake in the configuration: a later start can succeed.
[[nodiscard]] Fd lock_redis_data(const std::string& data_dir, std::chrono::milliseconds patience);

// The process that a lock file names in messages.
void write_lock_pid(const Fd& lock, int pid) noexcept;

}  // namespace pronghorn::supervisor
