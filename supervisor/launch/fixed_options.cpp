#include "supervisor/launch/fixed_options.h"

namespace pronghorn::supervisor {

std::vector<std::string> keep_fixed_options(Config& fresh, const Config& running) {
  std::vector<std::string> differed;
  const auto keep = [&](const char* name, auto Config::* option) {
    if (fresh.*option == running.*option) return;
    fresh.*option = running.*option;
    differed.emplace_back(name);
  };
  keep("listen", &Config::listen);
  keep("job_workers", &Config::job_workers);
  keep("balance", &Config::balance);
  keep("backlog", &Config::backlog);
  keep("ipv6_only", &Config::ipv6_only);
  keep("unix_mode", &Config::unix_mode);
  keep("unix_owner", &Config::unix_owner);
  keep("user", &Config::user);
  keep("group", &Config::group);
  keep("admin", &Config::admin);
  keep("control", &Config::control);
  keep("runtime_dir", &Config::runtime_dir);
  keep("data_dir", &Config::data_dir);
  keep("redis_server", &Config::redis_server);
  keep("redis_memory", &Config::redis_memory);
  // Workers can connect to another Redis server, but a rollout neither starts nor stops the embedded one.
  if ((fresh.redis == "embedded") != (running.redis == "embedded")) keep("redis", &Config::redis);
  return differed;
}

}  // namespace pronghorn::supervisor
