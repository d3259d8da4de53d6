#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "common/log.h"
#include "supervisor/supervisor_process.h"
#include "supervisor/system/directories.h"
#include "supervisor/system/errors.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::chrono::seconds kRedisPatience{10};  // for the Redis of a server that was killed

// Each worker inherits the limit, and a connection is a descriptor.
void raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Children inherit the first three descriptors, and nothing else may come to have their numbers.
void open_standard_descriptors() noexcept {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", O_RDWR);
  }
}

// Resolved now: when the file is replaced later, the same path leads to the new one.
std::string own_program() {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (size <= 0) throw std::runtime_error("cannot find our own program: /proc is not mounted");
  std::string program(path.data(), static_cast<std::size_t>(size));
  constexpr std::string_view kDeleted = " (deleted)";  // replaced since we were executed
  if (program.ends_with(kDeleted)) program.resize(program.size() - kDeleted.size());
  return program;
}

SocketOptions socket_options(const Config& config) {
  return {.ipv6_only = config.ipv6_only,
          .unix_file = {.mode = static_cast<mode_t>(config.unix_mode), .owner = config.unix_owner}};
}

std::unique_ptr<Listeners> admin_listeners(const Config& config) {
  if (config.admin.empty()) return nullptr;
  return std::make_unique<Listeners>(std::vector{config.admin}, Balance::shared, config.backlog, 0, 1,
                                     socket_options(config), "admin");
}

// Whether something of ours is in the runtime directory at all: with an own control socket and no Redis, nothing is.
bool uses_runtime_dir(const Config& config) {
  return config.redis == "embedded" || control_path(config).starts_with(config.runtime_dir + "/");
}

// A log that cannot be written is told here, once, and not by each worker.
void open_logs(const Config& config) {
  try {
    open_log({config.log_format, config.log_level, config.log_file, "supervisor"});
  } catch (const std::runtime_error& error) {
    throw ConfigurationError(
        fmt::format("{}; name a file that can be written with --log-file, or - for standard error", error.what()));
  }
  if (config.access_log == "-" || config.access_log == "off") return;
  const Fd file(::open(config.access_log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (file) return;
  throw ConfigurationError(
      fmt::format("access_log {}: {}; name a file that can be written with --access-log, or - for standard output",
                  config.access_log, std::strerror(errno)));
}

Ground fresh_ground(const Config& config) {
  if (config.redis == "embedded") require_redis_server(config);
  Fd runtime_lock;
  Fd data_lock;
  Fd redis_lock;
  if (uses_runtime_dir(config)) {
    make_private_directory(config.runtime_dir, "runtime_dir");
    runtime_lock = lock_directory(config.runtime_dir, "runtime_dir");
  }
  if (config.redis == "embedded") {
    make_private_directory(config.data_dir, "data_dir");
    data_lock = config.data_dir == config.runtime_dir ? Fd() : lock_directory(config.data_dir, "data_dir");
    redis_lock = lock_redis_data(config.data_dir, kRedisPatience);
  }
  Listeners listeners(config.listen, config.balance, config.backlog, config.max_workers, config.min_workers,
                      socket_options(config));
  auto admin = admin_listeners(config);
  auto own = std::make_shared<Config>(config);
  auto app = copy_app(*own, 1);
  return {own_program(),    std::move(own),          std::move(app),       Scoreboard::create(),  std::move(listeners),
          std::move(admin), std::move(runtime_lock), std::move(data_lock), std::move(redis_lock), std::nullopt};
}

// A new build may have another scoreboard. Old workers then write where nobody looks, until they have been replaced.
Scoreboard resumed_scoreboard(int fd) {
  try {
    return Scoreboard::attach(fd);
  } catch (const std::exception&) {
    ::close(fd);
    return Scoreboard::create();
  }
}

// The workers run: a log that cannot be had now is no reason to leave them alone.
void reopen_own_log(const Config& config) noexcept {
  try {
    open_log({config.log_format, config.log_level, config.log_file, "supervisor"});
  } catch (const std::exception& error) {
    log_error(error.what());
  }
}

Ground resumed_ground(ResumeState state) {
  const auto config = std::make_shared<const Config>(state.config);
  auto admin = state.admin_listeners
                   ? std::make_unique<Listeners>(*state.admin_listeners, Balance::shared, config->backlog)
                   : nullptr;
  return {own_program(),
          config,
          adopt_app_copy(*config),
          resumed_scoreboard(state.scoreboard_fd),
          Listeners(state.listeners, config->balance, config->backlog),
          std::move(admin),
          Fd(state.runtime_lock_fd),
          Fd(state.data_lock_fd),
          Fd(state.redis_lock_fd),
          std::move(state)};
}

int run_on_loop(Ground& ground, const SupervisorHooks& hooks) {
  uv_loop_t loop{};
  if (const int error = uv_loop_init(&loop); error != 0) {
    throw std::runtime_error(fmt::format("cannot make an event loop: {}", uv_strerror(error)));
  }
  const auto close = [&loop] {
    uv_run(&loop, UV_RUN_DEFAULT);  // the handles that are being closed
    uv_loop_close(&loop);
  };
  int status = kExitFailure;
  try {
    SupervisorProcess process(&loop, ground, hooks);
    status = process.run();
  } catch (...) {
    close();
    throw;
  }
  close();
  return status;
}

}  // namespace

int run_supervisor(const Config& config, const SupervisorHooks& hooks) {
  open_standard_descriptors();
  try {
    auto resume = take_resume_state();
    if (resume) {
      reopen_own_log(resume->config);
    } else {
      open_logs(config);
    }
    ::signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    Ground ground = resume ? resumed_ground(std::move(*resume)) : fresh_ground(config);
    return run_on_loop(ground, hooks);
  } catch (const ConfigurationError& error) {
    log_error(error.what());
    return kExitConfiguration;
  } catch (const std::exception& error) {
    log_error(error.what());
    return kExitFailure;
  }
}

}  // namespace pronghorn::supervisor
