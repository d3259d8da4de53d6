#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/line_writer.h"
#include "common/log.h"
#include "common/signals.h"
#include "supervisor/ground.h"
#include "supervisor/supervisor_process.h"
#include "supervisor/system/exit_status.h"
#include "supervisor/system/read_privilege.h"
#include "supervisor/upgrade/resume_state.h"

namespace pronghorn::supervisor {
namespace {

// A connection is a descriptor, and workers inherit the limit.
void raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Children inherit descriptors 0 to 2: none of these numbers may come to belong to a socket of ours.
void open_standard_descriptors() noexcept {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", O_RDWR);
  }
}

void warn_about_root() {
  if (::geteuid() != 0) return;
  log_warning(
      "workers run as root: a fault in the application endangers the whole machine; name an unprivileged user with "
      "--user");
}

// Opens the access log as well, only to see that it can be written: told here once, and not by each worker.
void open_logs(const Config& config) {
  try {
    open_log({config.log_format, config.log_level, config.log_file, "supervisor"});
  } catch (const std::runtime_error& error) {
    throw ConfigurationError(
        fmt::format("{}; name a file that can be written with --log-file, or - for standard error", error.what()));
  }
  if (config.access_log == "-" || config.access_log == "off") return;
  try {
    const LineWriter writer(config.access_log, STDOUT_FILENO);
  } catch (const std::system_error& error) {
    throw ConfigurationError(
        fmt::format("access_log {}: {}; name a file that can be written with --access-log, or - for standard output",
                    config.access_log, error.code().message()));
  }
}

// The process ends with its own status, whatever it is told to do in its last moments.
void disarm_signals() noexcept {
  disarm({SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU});
  block_signals(false);
}

// After a replacement of the program workers are running: a log that cannot be opened is no reason to abandon them.
void reopen_own_log(const Config& config) noexcept {
  try {
    open_log({config.log_format, config.log_level, config.log_file, "supervisor"});
  } catch (const std::exception& error) {
    log_error(error.what());
  }
}

int run_on_loop(Ground& ground, const SupervisorHooks& hooks) {
  uv_loop_t loop{};
  if (const int error = uv_loop_init(&loop); error != 0) {
    throw std::runtime_error(fmt::format("cannot create an event loop: {}", uv_strerror(error)));
  }
  const auto close = [&loop] {
    uv_run(&loop, UV_RUN_DEFAULT);  // handles that are being closed
    uv_loop_close(&loop);
    disarm_signals();
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

int run_supervisor(const Config& wanted, const SupervisorHooks& hooks) {
  open_standard_descriptors();
  Config config = wanted;
  try {
    auto passed = take_passed_sockets();
    auto resume = take_resume_state();
    ReadPrivilege::settle();
    std::shared_ptr<const TlsMaterial> tls;
    if (resume) {
      reopen_own_log(resume->config);
    } else {
      tls = first_tls_material(config);
      change_identity(config);
      open_logs(config);
    }
    for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_IGN);  // write() says it as well
    raise_descriptor_limit();
    const bool fresh = !resume;
    Ground ground =
        resume ? resumed_ground(std::move(*resume)) : fresh_ground(config, std::move(passed), std::move(tls));
    if (fresh) {  // of a server that starts: one that cannot says only why
      if (hooks.warnings) {
        for (const std::string& warning : hooks.warnings()) log_warning(warning);
      }
      warn_about_root();
    }
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
