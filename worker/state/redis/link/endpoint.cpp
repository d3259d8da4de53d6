#include "worker/state/redis/link/endpoint.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "worker/state/redis/protocol/encode_command.h"

namespace pronghorn::worker {

std::string describe(const RedisUrl& url) {
  if (url.is_unix) return "unix:" + url.path;
  if (url.host.empty()) return "an address that is not known yet";
  return fmt::format("{}{}{}", url.user, url.user.empty() ? "" : "@", display_host(url.host, url.port));
}

void append_auth(std::string& output, const RedisUrl& url) {
  if (url.user.empty()) {
    append_command(output, std::array<std::string_view, 2>{"AUTH", url.password});
  } else {
    append_command(output, std::array<std::string_view, 3>{"AUTH", url.user, url.password});
  }
}

}  // namespace pronghorn::worker
