// Connections that a worker had when it died, and that its ledger does not know.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/ipc/handover.h"

namespace pronghorn::worker {

// The TCP ports that a worker accepts from.
class ListeningPorts {
 public:
  ListeningPorts() = default;
  // Ports beyond the first 32 are left out.
  explicit ListeningPorts(std::span<const InheritedListener> listeners) noexcept;
  [[nodiscard]] bool contains(std::uint16_t port) const noexcept;
  // Whether clients of this port speak TLS.
  [[nodiscard]] bool is_https(std::uint16_t port) const noexcept;
  [[nodiscard]] bool any_https() const noexcept { return any_https_; }

 private:
  struct Port {
    std::uint16_t number = 0;
    bool is_https = false;
  };
  std::array<Port, 32> ports_{};
  bool any_https_ = false;
  std::size_t count_ = 0;
};

// A descriptor that the ledger does not name.
enum class Unnoted : std::uint8_t {
  other,     // no TCP connection to one of the ports
  newcomer,  // nothing has been read or written: the worker has just accepted it
  served,    // the ledger had no room for it, or it is over TLS
};
[[nodiscard]] Unnoted unnoted(int fd, const ListeningPorts& ports) noexcept;
// Whether it is a connection to one of the ports whose clients speak TLS.
[[nodiscard]] bool speaks_tls(int fd, const ListeningPorts& ports) noexcept;

// Descriptors from here on are not looked at: few processes have as many.
inline constexpr int kMostDescriptors = 65'536;
[[nodiscard]] int descriptors_end() noexcept;

}  // namespace pronghorn::worker
