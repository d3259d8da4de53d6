#include "support/processes/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <system_error>

#include "support/temp_dir.h"

extern char** environ;

namespace pronghorn::test {

namespace {

bool is_server_setting(std::string_view entry) {
  for (const std::string_view name :
       {"PORT=", "WEB_CONCURRENCY=", "REDIS_URL=", "PRONGHORN_", "NOTIFY_SOCKET=", "INVOCATION_ID="}) {
    if (entry.starts_with(name)) return true;
  }
  return false;
}

std::vector<std::string> environment_of_child(const Environment& additions) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced =
        std::any_of(additions.begin(), additions.end(), [name](const auto& pair) { return pair.first == name; });
    if (!replaced && !is_server_setting(text)) entries.emplace_back(text);
  }
  for (const auto& [name, value] : additions) entries.push_back(name + "=" + value);
  return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

int open_output(const std::string& path) {
  const char* name = path.empty() ? "/dev/null" : path.c_str();
  const int fd = ::open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "cannot open " + path);
  return fd;
}

// Field `index` of /proc/PID/stat; 0 is the state, which follows the name in parentheses.
std::string stat_field(pid_t pid, int index) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const auto behind_name = stat.rfind(')');
  if (behind_name == std::string::npos) return {};
  std::istringstream fields(stat.substr(behind_name + 1));
  std::string field;
  for (int i = 0; i <= index; ++i) fields >> field;
  return field;
}

template <class Visit>
void for_each_process(Visit visit) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
      visit(static_cast<pid_t>(std::stol(name)));
    }
  }
}

// Bytes from a line of /proc/PID/status that is in kB.
std::uint64_t memory_fact(pid_t pid, std::string_view name) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
  const auto at = status.find(name);
  return at == std::string::npos ? 0 : std::stoull(status.substr(at + name.size())) * 1024;
}

}  // namespace

pid_t start_program(const ProgramOptions& options) {
  std::vector<std::string> arguments = options.command;
  std::vector<std::string> entries = environment_of_child(options.environment);
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(entries);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = open_output(options.output_file);
  const int err = options.error_file.empty() ? out : open_output(options.error_file);

  std::vector<int> passed = options.passed_fds;

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {  // async-signal-safe calls only
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    for (int& fd : passed) fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 64);  // out of the way of the numbers to come
    for (std::size_t i = 0; i < passed.size(); ++i) ::dup2(passed[i], 3 + static_cast<int>(i));
    if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) ::_exit(126);
    ::execvpe(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  const int error = errno;
  ::close(in);
  ::close(out);
  if (err != out) ::close(err);
  if (pid < 0) throw std::system_error(error, std::generic_category(), "cannot fork");
  return pid;
}

std::string ExitStatus::text() const {
  return signal != 0 ? std::string("signal ") + ::strsignal(signal) : "exit status " + std::to_string(code);
}

std::optional<ExitStatus> wait_exit(pid_t pid, std::chrono::milliseconds deadline) {
  int status = 0;
  const bool ended = eventually(deadline, [pid, &status] { return ::waitpid(pid, &status, WNOHANG) == pid; }, 2ms);
  if (!ended) return std::nullopt;
  if (WIFSIGNALED(status)) return ExitStatus{-1, WTERMSIG(status)};
  return ExitStatus{WEXITSTATUS(status), 0};
}

ProgramResult run_program(const std::vector<std::string>& command, const Environment& environment,
                          std::chrono::milliseconds deadline, const std::string& directory) {
  const TempDir outputs;
  const pid_t pid = start_program({.command = command,
                                   .environment = environment,
                                   .directory = directory,
                                   .output_file = outputs / "out",
                                   .error_file = outputs / "err"});
  std::optional<ExitStatus> ended = wait_exit(pid, deadline);
  ProgramResult result;
  result.timed_out = !ended.has_value();
  if (result.timed_out) {
    ::kill(pid, SIGKILL);
    (void)wait_exit(pid, 10s);
  } else {
    result.status = ended->code;
  }
  result.out = read_file(outputs / "out");
  result.err = read_file(outputs / "err");
  return result;
}

char process_state(pid_t pid) {
  const std::string state = stat_field(pid, 0);
  return state.empty() ? '\0' : state.front();
}

bool is_running(pid_t pid) {
  const char state = process_state(pid);
  return state != '\0' && state != 'Z' && state != 'X';
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  for_each_process([&](pid_t candidate) {
    if (is_running(candidate) && stat_field(candidate, 1) == std::to_string(pid)) children.push_back(candidate);
  });
  return children;
}

std::vector<pid_t> children_without_guardians(pid_t pid) {
  auto children = children_of(pid);
  std::erase_if(children, [](pid_t child) {
    return read_file("/proc/" + std::to_string(child) + "/comm") == "pronghorn-guard\n" ||
           command_line(child).find(" symbolize ") != std::string::npos;
  });
  return children;
}

std::string command_line(pid_t pid) {
  std::string line = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  std::replace(line.begin(), line.end(), '\0', ' ');
  return line;
}

std::size_t open_descriptors(pid_t pid) {
  std::size_t count = 0;
  std::error_code error;
  const std::string directory = "/proc/" + std::to_string(pid) + "/fd";
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    ++count;
  }
  return count;
}

std::uint64_t peak_memory(pid_t pid) { return memory_fact(pid, "VmHWM:"); }

std::uint64_t resident_memory(pid_t pid) { return memory_fact(pid, "VmRSS:"); }

std::vector<pid_t> processes_of(const std::string& directory) {
  std::vector<pid_t> found;
  for_each_process([&](pid_t pid) {
    if (pid == ::getpid() || !is_running(pid)) return;
    const std::string base = "/proc/" + std::to_string(pid);
    std::error_code error;
    const std::string working = std::filesystem::read_symlink(base + "/cwd", error);
    if (working.starts_with(directory) || command_line(pid).find(directory) != std::string::npos ||
        read_file(base + "/environ").find(directory) != std::string::npos) {
      found.push_back(pid);
    }
  });
  return found;
}

}  // namespace pronghorn::test
