// The server's own directories, and locks that keep two servers out of the same one.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "common/config/config.h"
#include "common/fd.h"

namespace pronghorn::supervisor {

// False with a control socket elsewhere and no embedded Redis: then the runtime directory holds nothing that two
// servers could dispute.
[[nodiscard]] bool uses_runtime_dir(const Config& config);

// Creates the directory and its parents with mode 0700. Throws ConfigurationError when the directory is not writable,
// belongs to neither us nor root, or is writable by everybody without the sticky bit: others could then replace our
// sockets and data. The group may write (umask 002, Kubernetes' fsGroup). `option` is the option's name, for messages.
void make_private_directory(const std::string& path, const char* option);

// Throws ConfigurationError if everybody may create files in the directory, as in /tmp: somebody else could listen
// where workers expect the embedded Redis.
void refuse_public_directory(const std::string& path, const char* option);

// Why a server of this user refuses the directory: it belongs to somebody else, or everybody may replace its files.
// Empty: it does not, or there is no such directory.
[[nodiscard]] std::string why_not_private(const std::string& path, uid_t user);

// Why the embedded Redis does not start with this runtime_dir. Empty: it does, or there is no such directory.
[[nodiscard]] std::string why_public(const std::string& path);

// A warning if the group may replace files in the directory; else empty.
[[nodiscard]] std::string who_may_replace_files(const std::string& path);

// Why no file can be created in the directory, or in the nearest one above it that exists. Empty if one can.
[[nodiscard]] std::string why_not_writable(const std::string& path);

// Locks the directory until the descriptor and all inherited copies of it are closed. The file `lock` in it contains
// our pid. Throws ConfigurationError when another server holds the lock.
[[nodiscard]] Fd lock_directory(const std::string& path, const char* option);

// Locks the data of the embedded Redis, by the file `redis.lock`. Redis inherits a copy of the descriptor, so the lock
// lasts as long as any process may write there. Waits up to `patience` for the Redis of a server that was killed; then
// throws std::runtime_error, not ConfigurationError: a later start can succeed.
[[nodiscard]] Fd lock_redis_data(const std::string& data_dir, std::chrono::milliseconds patience);

// Writes the pid that messages about the lock name. A full disk leaves it out.
void write_lock_pid(const Fd& lock, int pid) noexcept;

// The locks that a server holds while it runs; those it does not need are empty.
struct DirectoryLocks {
  Fd runtime;
  Fd data;
  Fd redis;
};

}  // namespace pronghorn::supervisor
