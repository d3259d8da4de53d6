#include "supervisor/system/child_process.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

namespace pronghorn::supervisor {

std::string describe(const ChildExit& exit) {
  if (exit.signal == 0) return fmt::format("exit status {}", exit.status);
  const char* name = ::sigabbrev_np(exit.signal);
  return name != nullptr ? fmt::format("signal {} (SIG{})", exit.signal, name) : fmt::format("signal {}", exit.signal);
}

char process_state(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');  // the name can contain anything
  return name_end == std::string::npos || name_end + 2 >= text.size() ? '\0' : text[name_end + 2];
}

Children::Children(uv_loop_t* loop, std::function<void()> on_exits)
    : loop_(loop), on_exits_(std::move(on_exits)), sigchld_(loop, SIGCHLD, [this] { reap(); }) {}

void Children::reap() {
  reap_ours();
  reap_strangers();
}

std::expected<int, std::string> Children::spawn(const std::vector<std::string>& args, const std::vector<int>& fds,
                                                OnExit on_exit, int output_fd) {
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);

  std::vector<uv_stdio_container_t> stdio(3 + fds.size());
  const auto inherit = [&stdio](std::size_t index, int fd) {
    stdio[index].flags = UV_INHERIT_FD;
    stdio[index].data.fd = fd;
  };
  inherit(0, STDIN_FILENO);
  inherit(1, output_fd >= 0 ? output_fd : STDOUT_FILENO);
  inherit(2, output_fd >= 0 ? output_fd : STDERR_FILENO);
  if (output_fd >= 0) stdio[0].flags = UV_IGNORE;
  for (std::size_t i = 0; i < fds.size(); ++i) inherit(3 + i, fds[i]);

  uv_process_options_t options{};
  options.file = argv[0];
  options.args = argv.data();
  options.stdio = stdio.data();
  options.stdio_count = static_cast<int>(stdio.size());
  // The handle is initialised even when uv_spawn fails. It is closed at once, so that libuv does not reap the child: we
  // do, because libuv does not say how much memory it used.
  const UvPtr<uv_process_t> process(new uv_process_t{});
  const int error = uv_spawn(loop_, process.get(), &options);
  if (error != 0) return std::unexpected(fmt::format("cannot start {}: {}", args[0], uv_strerror(error)));
  children_[process->pid] = std::move(on_exit);
  return process->pid;
}

void Children::adopt(int pid, OnExit on_exit) { children_[pid] = std::move(on_exit); }

void Children::kill(int pid, int signal) noexcept {
  if (contains(pid)) ::kill(pid, signal);
}

void Children::reap_ours() {
  std::vector<ChildExit> exits;
  for (const auto& [pid, on_exit] : children_) {
    int status = 0;
    rusage usage{};
    const pid_t reaped = ::wait4(pid, &status, WNOHANG, &usage);
    if (reaped == pid) {
      exits.push_back({.pid = pid,
                       .status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                       .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                       .peak_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024});
    } else if (reaped < 0 && errno != EINTR) {
      exits.push_back({.pid = pid});  // not our child, or reaped already
    }
  }
  for (const ChildExit& exit : exits) exited(exit);
  if (!exits.empty()) on_exits_();
}

// The first process of a container becomes the parent of every orphan in it.
void Children::reap_strangers() noexcept {
  if (::getpid() != 1) return;
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    if (contains(info.si_pid)) return reap();  // it has ended since reap_ours()
    ::waitpid(info.si_pid, nullptr, WNOHANG);
  }
}

void Children::exited(const ChildExit& exit) {
  const auto found = children_.find(exit.pid);
  if (found == children_.end()) return;
  const OnExit on_exit = std::move(found->second);
  children_.erase(found);
  if (on_exit) on_exit(exit);
}

}  // namespace pronghorn::supervisor
