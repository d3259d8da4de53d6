#include "server/commands/deep_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/config/redis_url.h"
#include "common/fd.h"
#include "server/commands/apart.h"
#include "server/commands/redis_check.h"
#include "server/options/values/values.h"
#include "server/options/warnings.h"
#include "supervisor/listen/address.h"
#include "supervisor/listen/unix_socket.h"
#include "supervisor/system/directories.h"
#include "supervisor/system/identity.h"
#include "supervisor/system/programs.h"
#include "supervisor/tls/redis_files.h"
#include "supervisor/tls/tls_material.h"

namespace pronghorn::server {
namespace {

namespace fs = std::filesystem;

// Empty if the check passes; else what is wrong, and what to do.
using Problem = std::string;

Problem errno_text() { return std::strerror(errno); }

Problem check_folder(const fs::path& folder) { return supervisor::why_not_writable(folder); }

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The start creates its own directories before it becomes the user of the option `user`, and so are they checked.
Problem check_new_folder(const std::string& folder) { return exists(folder) ? "" : check_folder(folder); }

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

// Listens on it for a moment, as a start does: its folder, its owner and what has that name now are checked by that.
// Without runtime_dir, which only the start creates, there is nothing to check.
Problem check_unix(const std::string& path, const Config& config) {
  std::error_code ignored;
  const fs::path folder = fs::absolute(path).parent_path();
  if (folder == fs::absolute(config.runtime_dir) && !fs::exists(folder, ignored)) return {};
  try {
    const supervisor::UnixSocket socket(path, {.mode = config.unix_mode, .owner = config.unix_owner}, 1);
    return {};
  } catch (const std::exception& error) {
    const std::string_view why = error.what();
    return std::string(why.starts_with(path + ": ") ? why.substr(path.size() + 2) : why);
  }
}

Problem check_control(const std::string& path, const Config& config) {
  if (supervisor::is_socket_live(path)) return "another server listens there; stop it, or choose another path";
  struct stat facts{};
  if (::lstat(path.c_str(), &facts) == 0 && !S_ISSOCK(facts.st_mode)) return "the file exists and is not a socket";
  const fs::path folder = fs::absolute(path).parent_path();
  return folder == fs::absolute(config.runtime_dir) && !exists(folder) ? "" : check_folder(folder);
}

// Of a directory of the server that exists.
Problem check_own_folder(const std::string& folder, bool is_private) {
  const Problem problem = check_folder(folder);
  return problem.empty() && is_private ? supervisor::why_not_private(folder, ::geteuid()) : problem;
}

void warn_about_group(const char* option, const std::string& folder) {
  const std::string who = supervisor::who_may_replace_files(folder);
  if (!who.empty()) fmt::print("warning {} {}: {}\n", option, printable(folder), who);
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

Problem check_listener(const std::string& text, const Config& config) {
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

// The last line of a file, without our name before it.
std::string last_line(const Fd& file) {
  std::array<char, 4096> bytes{};
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  const auto most = static_cast<off_t>(bytes.size());
  const ssize_t count = ::pread(file.get(), bytes.data(), bytes.size(), size > most ? size - most : 0);
  std::string text(bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  while (text.ends_with('\n')) text.pop_back();
  const std::size_t end = text.rfind('\n');
  if (end != std::string::npos) text.erase(0, end + 1);
  constexpr std::string_view kName = "pronghorn: ";
  return text.starts_with(kName) ? text.substr(kName.size()) : text;
}

// In a child process, where its code cannot harm this one, and a crash is a finding. What it prints goes into a file:
// the end of a pipe would not come before that of the last process that the application has started.
Problem check_application(const Config& config, const std::function<int()>& load) {
  const Fd output(::memfd_create("standard error", MFD_CLOEXEC));
  if (!output) return errno_text();
  const ApartExit exit = run_apart([&] {
    ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    ::dup2(output.get(), STDERR_FILENO);
    ::alarm(static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(config.boot_timeout).count()));
    return load();
  });
  if (exit.finished) return exit.status == 0 ? "" : last_line(output);
  if (exit.signal != SIGALRM) return exit.how() + " while it was loaded";
  return fmt::format("it was not loaded within {:g} s (boot_timeout)",
                     static_cast<double>(config.boot_timeout.count()) / 1e3);
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

void check_runtime_dir(const Config& config, Problem problem, Report& report) {
  if (exists(config.runtime_dir)) {
    problem = check_own_folder(config.runtime_dir, supervisor::uses_runtime_dir(config));
    if (problem.empty() && config.redis == "embedded") problem = supervisor::why_public(config.runtime_dir);
  }
  report.add("runtime_dir " + config.runtime_dir, problem);
  warn_about_group("runtime_dir", config.runtime_dir);
}

// Without the embedded Redis only crash reports need it: the server starts.
void check_data_dir(const Config& config, Problem problem, Report& report) {
  const bool needed = config.redis == "embedded";
  if (exists(config.data_dir) || !needed) problem = check_own_folder(config.data_dir, true);
  if (problem.empty() || needed) {
    report.add("data_dir " + config.data_dir, problem);
    return warn_about_group("data_dir", config.data_dir);
  }
  fmt::print("warning data_dir {}: {}: crash reports cannot be written\n", printable(config.data_dir),
             printable(problem));
}

// True: they can be used, or none are needed.
bool read_redis_certificates(Config& config, Report& report) {
  if (!config.redis.starts_with("rediss")) return true;
  Problem problem;
  try {
    supervisor::read_redis_files(config);
  } catch (const std::exception& error) {
    problem = error.what();
  }
  report.add("certificates for Redis", problem);
  return problem.empty();
}

// The embedded Redis does not run yet.
void check_state(const Config& config, Report& report) {
  if (config.redis == "none") return;
  if (config.redis == "embedded")
    return report.add("redis_server " + config.redis_server, check_program(config.redis_server));
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

// From then on the checks run as the user that the server runs as. False: there is no such user.
bool become_user(const Config& config, Report& report) {
  if (config.user.empty() && config.group.empty()) return true;
  Problem problem;
  try {
    if (const auto identity = supervisor::find_identity(config.user, config.group)) supervisor::adopt(*identity);
  } catch (const std::exception& error) {
    problem = error.what();
  }
  report.add("user and group", problem);
  return problem.empty();
}

}  // namespace

// In the order of a start: what root reads, or creates, comes before the change of the user.
int deep_check(Config config, const std::string& file, const std::function<int()>& load_application) {
  std::fputc('\n', stdout);
  Report report;
  check_certificates(config, report);
  const bool has_certificates = read_redis_certificates(config, report);
  const Problem new_runtime_dir = check_new_folder(config.runtime_dir);
  const Problem new_data_dir = check_new_folder(config.data_dir);
  if (!become_user(config, report)) return 2;
  if (const std::string warning = reload_warning(file); !warning.empty()) fmt::print("warning {}\n", warning);
  for (const std::string& address : config.listen) report.add("listen " + address, check_listener(address, config));
  if (!config.admin.empty()) report.add("admin " + config.admin, check_listener(config.admin, config));
  report.add("log_file " + config.log_file, check_log(config.log_file));
  report.add("access_log " + config.access_log, check_log(config.access_log));
  report.add("control " + control_path(config), check_control(control_path(config), config));
  check_runtime_dir(config, new_runtime_dir, report);
  check_data_dir(config, new_data_dir, report);
  if (has_certificates) check_state(config, report);
  const bool configuration_failed = report.failed();
  Problem application;
  if (!config.app.empty()) {
    application = check_application(config, load_application);
    report.add("application " + config.app, application);
  }
  return configuration_failed ? 2 : application.empty() ? 0 : 3;
}

}  // namespace pronghorn::server
