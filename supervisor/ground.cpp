#include "supervisor/ground.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/log.h"
#include "supervisor/redis/embedded_redis.h"
#include "supervisor/system/exit_status.h"
#include "supervisor/system/identity.h"
#include "supervisor/system/read_privilege.h"
#include "supervisor/tls/redis_files.h"

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

SocketFile unix_file(const Config& config) {
  return {.mode = static_cast<mode_t>(config.unix_mode), .owner = config.unix_owner};
}

SocketOptions socket_options(const Config& config, std::vector<PassedSocket>& passed) {
  return {.ipv6_only = config.ipv6_only, .unix_file = unix_file(config), .passed = &passed};
}

std::unique_ptr<Listeners> admin_listeners(const Config& config, std::vector<PassedSocket>& passed) {
  if (config.admin.empty()) return nullptr;
  return std::make_unique<Listeners>(std::vector{config.admin}, Balance::shared, config.backlog, 0, 1,
                                     socket_options(config, passed), "admin");
}

std::string why_no_reports(const std::string& data_dir) {
  std::string problem = why_not_writable(data_dir);
  return problem.empty() ? why_not_private(data_dir, ::geteuid()) : problem;
}

DirectoryLocks lock_directories(const Config& config) {
  DirectoryLocks locks;
  if (uses_runtime_dir(config)) {
    make_private_directory(config.runtime_dir, "runtime_dir");
    if (config.redis == "embedded") refuse_public_directory(config.runtime_dir, "runtime_dir");
    locks.runtime = lock_directory(config.runtime_dir, "runtime_dir");
  }
  if (config.redis == "embedded") {
    make_private_directory(config.data_dir, "data_dir");
    if (config.data_dir != config.runtime_dir) locks.data = lock_directory(config.data_dir, "data_dir");
    locks.redis = lock_redis_data(config.data_dir, kRedisPatience);
    prepare_redis_directory(config);
  } else if (const std::string problem = why_no_reports(config.data_dir); !problem.empty()) {
    log_warning("crash reports cannot be written to data_dir; change its owner or mode",
                {{"data_dir", config.data_dir}, {"error", problem}});
  }
  return locks;
}

// Most of it is never written, and takes no memory. But limits count the whole.
Scoreboard new_scoreboard() {
  try {
    return Scoreboard::create();
  } catch (const std::system_error& error) {
    const bool file_size = error.code() == std::errc::file_too_large;
    if (!file_size && error.code() != std::errc::not_enough_memory) throw;
    throw ConfigurationError(fmt::format("{}; the server shares {} MiB with its workers: raise the limit of {}",
                                         error.what(), (sizeof(ScoreboardMemory) >> 20) + 1,
                                         file_size ? "file sizes (ulimit -f, LimitFSIZE=), or remove it"
                                                   : "address space (ulimit -v, LimitAS=), or remove it"));
  }
}

// A new build may have another layout. The old workers then write memory that nobody reads, until they are replaced.
Scoreboard resumed_scoreboard(const ResumeState& state) {
  try {
    return Scoreboard::attach(state.scoreboard_fd);
  } catch (const std::exception&) {
    ::close(state.scoreboard_fd);
    Scoreboard board = Scoreboard::create();
    restore(board.history(), state.history);
    return board;
  }
}

// An earlier build may not have had one.
HandoffQueue resumed_handoff_queue(const ResumeState& state) {
  if (state.handoff_give_fd < 0 || state.handoff_take_fd < 0) return HandoffQueue::create();
  return {.give = Fd(state.handoff_give_fd), .take = Fd(state.handoff_take_fd)};
}

std::optional<TicketKeys> adopted_keys(Fd fd) {
  if (!fd) return std::nullopt;
  try {
    return TicketKeys::adopt(fd.release());
  } catch (const std::exception&) {  // of another build
    return std::nullopt;
  }
}

// Those of a process of this service that has ended, so that its clients resume their sessions; else new ones.
TicketKeys first_ticket_keys(std::vector<PassedSocket>& passed) {
  const auto kept = std::ranges::find(passed, kTicketKeysName, &PassedSocket::name);
  if (kept != passed.end()) {
    auto keys = adopted_keys(std::move(kept->fd));
    passed.erase(kept);
    if (keys) return *std::move(keys);
  }
  return TicketKeys::create(TicketKeys::now());
}

std::optional<TicketKeys> resumed_ticket_keys(const ResumeState& state) {
  if (!serves_https(state.config)) return std::nullopt;
  if (auto keys = adopted_keys(Fd(state.ticket_keys_fd))) return keys;
  return TicketKeys::create(TicketKeys::now());
}

bool can_read_tls_files(const Config& config) {
  const auto readable = [](const std::string& path) { return ::access(path.c_str(), R_OK) == 0; };
  const auto staple_readable = [&readable](const std::string& certificate) {
    const std::string staple = certificate + ".ocsp";
    return ::access(staple.c_str(), F_OK) != 0 || readable(staple);
  };
  return std::ranges::all_of(config.tls_certificate, readable) && std::ranges::all_of(config.tls_key, readable) &&
         std::ranges::all_of(config.tls_certificate, staple_readable) &&
         (config.tls_client_ca.empty() || readable(config.tls_client_ca));
}

}  // namespace

std::shared_ptr<const TlsMaterial> first_tls_material(Config& config) {
  try {
    read_redis_files(config);
    return load_tls_material(config);
  } catch (const std::exception& error) {
    throw ConfigurationError(fmt::format("the certificates cannot be used: {}", error.what()));
  }
}

void change_identity(const Config& config) {
  if (const auto identity = find_identity(config.user, config.group)) {
    if (uses_runtime_dir(config)) create_directory_for(*identity, config.runtime_dir, "runtime_dir");
    if (config.redis == "embedded") create_directory_for(*identity, config.data_dir, "data_dir");
    adopt(*identity);
  }
  // A reload reads the files again, as the new user.
  const bool can_read = (!serves_https(config) || can_read_tls_files(config)) && can_read_redis_files(config);
  if (can_read) ReadPrivilege::give_up();
}

Ground fresh_ground(const Config& config, std::vector<PassedSocket> passed, std::shared_ptr<const TlsMaterial> tls) {
  if (config.redis == "embedded") require_redis_server(config);
  DirectoryLocks locks = lock_directories(config);
  std::optional<TicketKeys> ticket_keys;
  if (tls != nullptr) ticket_keys = first_ticket_keys(passed);
  Listeners listeners(config.listen, config.balance, config.backlog, config.max_workers, config.min_workers,
                      socket_options(config, passed));
  auto admin = admin_listeners(config, passed);
  for (const PassedSocket& socket : passed) {
    if (!socket.fd) continue;
    log_warning("closing a socket from the service manager: it is not bound to an address of --listen or --admin",
                {{"name", socket.name}});
  }
  Scoreboard board = new_scoreboard();
  auto own = std::make_shared<Config>(config);
  auto app = copy_app(*own, 1);
  return {.program = own_program(),
          .config = std::move(own),
          .app = std::move(app),
          .board = std::move(board),
          .listeners = std::move(listeners),
          .admin_listeners = std::move(admin),
          .handoff = HandoffQueue::create(),
          .locks = std::move(locks),
          .tls = std::move(tls),
          .ticket_keys = std::move(ticket_keys),
          .resume = std::nullopt};
}

Ground resumed_ground(ResumeState state) {
  const auto config = std::make_shared<const Config>(state.config);
  auto admin = state.admin_listeners ? std::make_unique<Listeners>(*state.admin_listeners, Balance::shared,
                                                                   config->backlog, unix_file(*config))
                                     : nullptr;
  return {
      .program = own_program(),
      .config = config,
      .app = adopt_app_copy(*config),
      .board = resumed_scoreboard(state),
      .listeners = Listeners(state.listeners, config->balance, config->backlog, unix_file(*config)),
      .admin_listeners = std::move(admin),
      .handoff = resumed_handoff_queue(state),
      .locks = {.runtime = Fd(state.runtime_lock_fd), .data = Fd(state.data_lock_fd), .redis = Fd(state.redis_lock_fd)},
      .tls = adopt_tls_material(state.tls_credentials_fd),
      .ticket_keys = resumed_ticket_keys(state),
      .resume = std::move(state)};
}

}  // namespace pronghorn::supervisor
