// What is done with the address of a Redis server besides connecting to it.
#pragma once

#include <string>

#include "common/config/redis_url.h"

namespace pronghorn::worker {

// "unix:PATH" or "user@host:port", for people; or that the host is not known yet. Never contains the password.
[[nodiscard]] std::string describe(const RedisUrl& url);

// Appends AUTH with the password of `url`, and its user if it names one.
void append_auth(std::string& output, const RedisUrl& url);

}  // namespace pronghorn::worker
