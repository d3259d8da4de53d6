// A private redis-server for one TestClient.
#pragma once

#include <sys/types.h>

#include <string>

namespace pronghorn::worker {

// Listens on a Unix socket in a temporary folder and keeps nothing on disk. The destructor stops the server and removes
// the folder; so does the kernel for the server if the test process dies.
class TemporaryRedis {
 public:
  // Returns once the server accepts connections. Throws std::runtime_error if redis-server is not in PATH or does not
  // start within five seconds.
  TemporaryRedis();
  TemporaryRedis(const TemporaryRedis&) = delete;
  TemporaryRedis& operator=(const TemporaryRedis&) = delete;
  ~TemporaryRedis();

  [[nodiscard]] std::string address() const { return "unix:" + socket_; }

 private:
  void wait_until_it_accepts();
  void stop() noexcept;

  std::string folder_;
  std::string socket_;
  pid_t pid_ = -1;
};

}  // namespace pronghorn::worker
