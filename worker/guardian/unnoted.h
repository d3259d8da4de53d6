// Connections that a worker had accepted and could not note before it died.
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

 private:
  std::array<std::uint16_t, 32> ports_{};
  std::size_t count_ = 0;
};

// Whether the descriptor is a TCP connection to one of the ports over which nothing has been read or written.
[[nodiscard]] bool is_newcomer(int fd, const ListeningPorts& ports) noexcept;

// One above the highest descriptor that is looked at for newcomers: few processes have as many.
[[nodiscard]] int newcomers_end() noexcept;

}  // namespace pronghorn::worker
