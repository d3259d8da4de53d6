#include "supervisor/server_facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <vector>

#include "common/config/redis_url.h"

namespace pronghorn::supervisor {
namespace {

// Without the password; empty: there is no Redis.
std::string redis_display(const Config& config) {
  const std::string address = redis_address(config);
  return address == "none" ? "" : display_redis_url(parse_redis_url(address));
}

}  // namespace

std::string redis_mode(const Config& config) {
  return config.redis == "embedded" || config.redis == "none" ? config.redis : "server";
}

void describe_server(ServerRow& server, const Ground& ground) {
  std::vector<std::string> addresses;
  for (const Address& address : ground.listeners.addresses()) addresses.push_back(address.text);
  server.listen.set(fmt::format("{}", fmt::join(addresses, "\n")));
  server.name.set(ground.config->name);
  server.pid.store(static_cast<std::uint32_t>(::getpid()));
  describe_redis(server, *ground.config);
}

void describe_redis(ServerRow& server, const Config& config) {
  server.redis_mode.set(redis_mode(config));
  server.redis_address.set(redis_display(config));
  server.ready_without_redis.store(config.ready_requires == "nothing" ? 1 : 0);
}

}  // namespace pronghorn::supervisor
