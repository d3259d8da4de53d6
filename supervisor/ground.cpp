#include "supervisor/ground.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "common/log.h"
#include "supervisor/redis/embedded_redis.h"
#include "supervisor/system/identity.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::chrono::seconds kRedisPatience{10};  // for the Redis of a server that was killed to end

// Read at start: when the file is replaced later, this path leads to the new one, and /proc/self/exe does not.
std::string own_program() {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (size <= 0) throw std::runtime_error("cannot find our own program: /proc is not mounted");
  std::string program(path.data(), static_cast<std::size_t>(size));
  constexpr std::string_view kDeleted = " (deleted)";  // replaced since we were executed
  if (program.ends_with(kDeleted)) program.resize(program.size() - kDeleted.size());
  return program;
}

SocketOptions socket_options(const Config& config, std::vector<PassedSocket>& passed) {
  return {.ipv6_only = config.ipv6_only,
          .unix_file = {.mode = static_cast<mode_t>(config.unix_mode), .owner = config.unix_owner},
          .passed = &passed};
}

std::unique_ptr<Listeners> admin_listeners(const Config& config, std::vector<PassedSocket>& passed) {
  if (config.admin.empty()) return nullptr;
  return std::make_unique<Listeners>(std::vector{config.admin}, Balance::shared, config.backlog, 0, 1,
                                     socket_options(config, passed), "admin");
}

// False with a control socket elsewhere and no embedded Redis: then the runtime directory holds nothing that two
// servers could dispute.
bool uses_runtime_dir(const Config& config) {
  return config.redis == "embedded" || control_path(config).starts_with(config.runtime_dir + "/");
}

DirectoryLocks lock_directories(const Config& config) {
  DirectoryLocks locks;
  if (uses_runtime_dir(config)) {
    make_private_directory(config.runtime_dir, "runtime_dir");
    locks.runtime = lock_directory(config.runtime_dir, "runtime_dir");
  }
  if (config.redis == "embedded") {
    make_private_directory(config.data_dir, "data_dir");
    if (config.data_dir != config.runtime_dir) locks.data = lock_directory(config.data_dir, "data_dir");
    locks.redis = lock_redis_data(config.data_dir, kRedisPatience);
    prepare_redis_directory(config);
  } else if (::access(config.data_dir.c_str(), F_OK) == 0 && ::access(config.data_dir.c_str(), W_OK | X_OK) != 0) {
    log_warning("crash reports cannot be written to data_dir; change its owner or mode",
                {{"data_dir", config.data_dir}, {"error", std::strerror(errno)}});
  }
  return locks;
}

// A new build may have another layout. The old workers then write memory that nobody reads, until they are replaced.
Scoreboard resumed_scoreboard(int fd) {
  try {
    return Scoreboard::attach(fd);
  } catch (const std::exception&) {
    ::close(fd);
    return Scoreboard::create();
  }
}

// An earlier build may not have had one.
HandoffQueue resumed_handoff_queue(const ResumeState& state) {
  if (state.handoff_give_fd < 0 || state.handoff_take_fd < 0) return HandoffQueue::create();
  return {.give = Fd(state.handoff_give_fd), .take = Fd(state.handoff_take_fd)};
}

}  // namespace

void change_identity(const Config& config) {
  const auto identity = find_identity(config.user, config.group);
  if (!identity) return;
  if (uses_runtime_dir(config)) create_directory_for(*identity, config.runtime_dir, "runtime_dir");
  if (config.redis == "embedded") create_directory_for(*identity, config.data_dir, "data_dir");
  adopt(*identity);
}

Ground fresh_ground(const Config& config, std::vector<PassedSocket> passed) {
  if (config.redis == "embedded") require_redis_server(config);
  DirectoryLocks locks = lock_directories(config);
  Listeners listeners(config.listen, config.balance, config.backlog, config.max_workers, config.min_workers,
                      socket_options(config, passed));
  auto admin = admin_listeners(config, passed);
  for (const PassedSocket& socket : passed) {
    if (!socket.fd) continue;
    log_warning("closing a socket from the service manager: it is not bound to an address of --listen or --admin",
                {{"name", socket.name}});
  }
  auto own = std::make_shared<Config>(config);
  auto app = copy_app(*own, 1);
  return {.program = own_program(),
          .config = std::move(own),
          .app = std::move(app),
          .board = Scoreboard::create(),
          .listeners = std::move(listeners),
          .admin_listeners = std::move(admin),
          .handoff = HandoffQueue::create(),
          .locks = std::move(locks),
          .resume = std::nullopt};
}

Ground resumed_ground(ResumeState state) {
  const auto config = std::make_shared<const Config>(state.config);
  auto admin = state.admin_listeners
                   ? std::make_unique<Listeners>(*state.admin_listeners, Balance::shared, config->backlog)
                   : nullptr;
  return {
      .program = own_program(),
      .config = config,
      .app = adopt_app_copy(*config),
      .board = resumed_scoreboard(state.scoreboard_fd),
      .listeners = Listeners(state.listeners, config->balance, config->backlog),
      .admin_listeners = std::move(admin),
      .handoff = resumed_handoff_queue(state),
      .locks = {.runtime = Fd(state.runtime_lock_fd), .data = Fd(state.data_lock_fd), .redis = Fd(state.redis_lock_fd)},
      .resume = std::move(state)};
}

}  // namespace pronghorn::supervisor
