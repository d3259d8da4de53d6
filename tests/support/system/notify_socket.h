// Stands in for systemd: the socket to which a service sends its notifications (sd_notify(3)).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "support/eventually.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

class NotifySocket {
 public:
  explicit NotifySocket(bool abstract = false);
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;
  ~NotifySocket();  // closes the descriptors in `stored`

  // Value for NOTIFY_SOCKET.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }

  // The next message; empty if none has come. A descriptor that came with it is appended to `stored`.
  std::string next();
  // Waits for a message that contains `text`, and returns it; skips others. Empty if `deadline` passes first.
  std::string wait_for(std::string_view text, std::chrono::milliseconds deadline = 20s);

  struct Stored {
    std::string name;  // FDNAME
    int fd;
  };
  std::vector<Stored> stored;

 private:
  TempDir directory_;
  std::string address_;
  int fd_;
};

}  // namespace pronghorn::test
