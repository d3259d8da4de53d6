#include "server/commands/deep_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>

#include "common/config/redis_url.h"
#include "common/fd.h"
#include "server/commands/redis_check.h"
#include "server/options/values/values.h"
#include "supervisor/listen/address.h"
#include "supervisor/listen/unix_socket.h"
#include "supervisor/system/identity.h"
#include "supervisor/system/programs.h"
#include "supervisor/tls/redis_files.h"
#include "supervisor/tls/tls_material.h"

extern char** environ;

namespace pronghorn::server {
namespace {

namespace fs = std::filesystem;

// Empty if the check passes; else what is wrong, and what to do.
using Problem = std::string;

Problem errno_text() { return std::strerror(errno); }

// Whether a file can be created in the folder, or in the nearest one above it that exists.
Problem check_folder(fs::path folder) {
  std::error_code ignored;
  while (!folder.empty() && !fs::exists(folder, ignored)) folder = folder.parent_path();
  if (folder.empty()) folder = ".";
  if (!fs::is_directory(folder, ignored)) return fmt::format("{} is not a directory", folder.string());
  return ::access(folder.c_str(), W_OK | X_OK) == 0 ? "" : fmt::format("{}: {}", folder.string(), errno_text());
}

Problem check_log(const std::string& path) {
  std::error_code ignored;
  if (path == "-" || path == "off") return {};
  if (!fs::exists(path, ignored)) {
    const fs::path folder = fs::absolute(path).parent_path();
    return fs::is_directory(folder, ignored) ? check_folder(folder) : folder.string() + ": no such directory";
  }
  if (fs::is_directory(path, ignored)) return "it is a directory";
  return ::access(path.c_str(), W_OK) == 0 ? "" : errno_text();
}

// Listens on it for a moment, as a start does: its folder, its owner and what has that name now are checked by that. Only
// the start creates runtime_dir.
Problem check_unix(const std::string& path, const Config& config) {
  std::error_code ignored;
  const fs::path folder = fs::absolute(path).parent_path();
  if (folder == fs::absolute(config.runtime_dir) && !fs::exists(folder, ignored)) return check_folder(folder);
  try {
    const supervisor::UnixSocket socket(path, {.mode = config.unix_mode, .owner = config.unix_owner}, 1);
    return {};
  } catch (const std::exception& error) {
    const std::string_view why = error.what();
    return std::string(why.starts_with(path + ": ") ? why.substr(path.size() + 2) : why);
  }
}

// Its folder may not exist yet; the start creates it.
Problem check_control(const std::string& path) {
  if (supervisor::is_socket_live(path)) return "another server listens there; stop it, or choose another path";
  struct stat facts{};
  if (::lstat(path.c_str(), &facts) == 0 && !S_ISSOCK(facts.st_mode)) return "the file exists and is not a socket";
  return check_folder(fs::absolute(path).parent_path());
}

Problem check_identity(const std::string& user, const std::string& group) {
  try {
    static_cast<void>(supervisor::find_identity(user, group));
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

Problem check_bind(const addrinfo& found) {
  const Fd socket(::socket(found.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // as a start does: connections in TIME_WAIT
  if (found.ai_family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(socket.get(), found.ai_addr, found.ai_addrlen) == 0 && ::listen(socket.get(), 1) == 0) return {};
  if (errno == EADDRINUSE) return "the port is in use; stop the program that has it (ss -ltnp), or choose another";
  if (errno == EACCES) return "permission denied; use a port above 1023, or grant CAP_NET_BIND_SERVICE";
  return errno_text();
}

Problem check_address(const std::string& text, const Config& config) {
  const auto address = supervisor::parse_address(text);
  if (!address) return address.error();
  if (address->is_unix) return check_unix(address->path, config);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* all = nullptr;
  const char* host = address->host.empty() ? nullptr : address->host.c_str();
  if (const int error = ::getaddrinfo(host, std::to_string(address->port).c_str(), &hints, &all); error != 0) {
    return ::gai_strerror(error);
  }
  Problem problem;
  for (const addrinfo* each = all; each != nullptr && problem.empty(); each = each->ai_next) {
    problem = check_bind(*each);
    if (problem == std::strerror(EAFNOSUPPORT) && address->host.empty()) problem.clear();  // a machine without IPv6
  }
  ::freeaddrinfo(all);
  return problem;
}

// Lists its routes in a child process, where its code cannot harm this one, and a crash is a finding.
Problem check_application(const std::string& app, const std::string& config_file) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return errno_text();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, pipe[1], STDERR_FILENO);
  std::string program = "/proc/self/exe";
  std::string command = "routes";
  std::string path = app;
  std::string option = "--config";
  std::string file = config_file;
  std::array<char*, 6> arguments{program.data(), command.data(), path.data(), option.data(), file.data(), nullptr};
  if (file.empty()) arguments[3] = nullptr;
  pid_t child = 0;
  const int error = ::posix_spawn(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  std::string told;
  std::array<char, 4096> bytes{};
  for (ssize_t count = 0; error == 0 && (count = ::read(pipe[0], bytes.data(), bytes.size())) > 0;) {
    told.append(bytes.data(), static_cast<std::size_t>(count));
  }
  ::close(pipe[0]);
  if (error != 0) return std::strerror(error);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status))
    return fmt::format("signal {} ({}) while it was loaded", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) == 0) return {};
  const std::size_t end = told.find_last_not_of('\n');
  const std::size_t begin = end == std::string::npos ? 0 : told.rfind('\n', end) + 1;
  told = told.substr(begin, end == std::string::npos ? 0 : end - begin + 1);
  return told.starts_with("pronghorn: ") ? told.substr(11) : told;
}

Problem check_program(const std::string& program) {
  const Problem problem = supervisor::why_not_runnable(program);
  if (problem.empty()) return {};
  return problem + "; install redis-server, name another program with --redis-server, or use --redis none";
}

class Report {
 public:
  void add(const std::string& what, const Problem& problem) {
    const std::string line = problem.empty() ? fmt::format("ok      {}\n", printable(what))
                                             : fmt::format("failed  {}: {}\n", printable(what), printable(problem));
    std::fwrite(line.data(), 1, line.size(), stdout);
    failed_ = failed_ || !problem.empty();
  }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  bool failed_ = false;
};

// The embedded Redis does not run yet.
void check_state(Config config, Report& report) {
  if (config.redis == "none") return;
  if (config.redis == "embedded")
    return report.add("redis_server " + config.redis_server, check_program(config.redis_server));
  if (config.redis.starts_with("rediss")) {
    try {
      supervisor::read_redis_files(config);
      report.add("certificates for Redis", {});
    } catch (const std::exception& error) {
      return report.add("certificates for Redis", error.what());
    }
  }
  report.add("redis " + display_redis_url(parse_redis_url(config.redis)), check_redis(config));
}

// The files are read as the server does it, which checks them.
void check_certificates(const Config& config, Report& report) {
  try {
    const auto material = supervisor::load_tls_material(config);
    if (material == nullptr) return;
    for (const supervisor::CertificateFacts& facts : material->certificates) {
      report.add(fmt::format("tls_certificate {} for {} until {}", facts.file, names_text(facts, 100),
                             supervisor::utc_text(facts.not_after)),
                 {});
    }
    for (const std::string& doubt : material->doubts) {
      fmt::print("warning tls_certificate {}\n", printable(doubt));
    }
  } catch (const std::exception& error) {
    report.add("tls_certificate", error.what());
  }
}

}  // namespace

int deep_check(const Config& config, const std::string& config_file) {
  std::fputc('\n', stdout);
  Report report;
  if (!config.user.empty() || !config.group.empty()) {
    report.add("user and group", check_identity(config.user, config.group));
  }
  for (const std::string& address : config.listen) report.add("listen " + address, check_address(address, config));
  if (!config.admin.empty()) report.add("admin " + config.admin, check_address(config.admin, config));
  check_certificates(config, report);
  report.add("log_file " + config.log_file, check_log(config.log_file));
  report.add("access_log " + config.access_log, check_log(config.access_log));
  report.add("control " + control_path(config), check_control(control_path(config)));
  report.add("runtime_dir " + config.runtime_dir, check_folder(config.runtime_dir));
  report.add("data_dir " + config.data_dir, check_folder(config.data_dir));
  check_state(config, report);
  const bool configuration_failed = report.failed();
  Problem application;
  if (!config.app.empty()) {
    application = check_application(config.app, config_file);
    report.add("application " + config.app, application);
  }
  return configuration_failed ? 2 : application.empty() ? 0 : 3;
}

}  // namespace pronghorn::server
