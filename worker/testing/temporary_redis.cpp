#include "worker/testing/temporary_redis.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <thread>

namespace pronghorn::worker {

namespace {

constexpr std::chrono::seconds kTimeToStart{5};

std::string make_folder() {
  std::string folder = std::filesystem::temp_directory_path().string() + "/pronghorn-redis-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    throw std::runtime_error("TestClient: cannot create " + folder + ": " + std::strerror(errno));
  }
  return folder;
}

bool accepts(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const bool accepted = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return accepted;
}

// In the child, between fork and exec: async-signal-safe calls only.
[[noreturn]] void run_server(const char* folder, const char* socket, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent || ::chdir(folder) != 0) ::_exit(127);
  const int null = ::open("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  ::execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no",
           static_cast<char*>(nullptr));
  ::_exit(127);
}

}  // namespace

TemporaryRedis::TemporaryRedis() : folder_(make_folder()), socket_(folder_ + "/redis.sock") {
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) run_server(folder_.c_str(), socket_.c_str(), parent);
  try {
    if (pid_ < 0) throw std::runtime_error(std::string("TestClient: fork: ") + std::strerror(errno));
    wait_until_it_accepts();
  } catch (...) {
    stop();
    throw;
  }
}

TemporaryRedis::~TemporaryRedis() { stop(); }

void TemporaryRedis::wait_until_it_accepts() {
  const auto give_up = std::chrono::steady_clock::now() + kTimeToStart;
  while (!accepts(socket_)) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("TestClient: redis-server cannot be started; is it in PATH?");
    }
    if (std::chrono::steady_clock::now() > give_up) {
      throw std::runtime_error("TestClient: redis-server did not start within five seconds");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void TemporaryRedis::stop() noexcept {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace pronghorn::worker
