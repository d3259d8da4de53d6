// Which connections of a link between distributor and worker (distributor/links.h) the worker has taken.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace pronghorn {

// Memory of one distributor and one worker. A connection is either taken by the worker or taken back by the
// distributor, whatever the other does at that moment, and whether or not it still lives: so no two workers serve one
// connection.
//
// Tickets of a link grow. Context: take() in the worker, the rest in the distributor.
class LinkClaims {
 public:
  // Nothing without a descriptor or memory for it.
  [[nodiscard]] static std::optional<LinkClaims> create() noexcept;
  // Takes the descriptor over, which has come from create(). Nothing if it is none, or cannot be mapped.
  [[nodiscard]] static std::optional<LinkClaims> attach(int fd) noexcept;
  LinkClaims(LinkClaims&& other) noexcept;
  LinkClaims& operator=(LinkClaims&& other) noexcept;
  ~LinkClaims();

  [[nodiscard]] int fd() const noexcept { return fd_; }

  // The worker takes the connection with this ticket, before it does anything with it. False: the distributor has taken
  // it back.
  [[nodiscard]] bool take(std::uint64_t ticket) noexcept;
  // Takes back all connections that are not taken, and all that the link gets from now on.
  void take_back() noexcept;
  // The ticket up to which connections are taken.
  [[nodiscard]] std::uint64_t taken() const noexcept;

 private:
  static constexpr std::uint64_t kTakenBack = std::uint64_t{1} << 63;

  LinkClaims(int fd, std::atomic<std::uint64_t>* state) noexcept : fd_(fd), state_(state) {}

  int fd_;
  std::atomic<std::uint64_t>* state_;  // taken(), and kTakenBack
};

}  // namespace pronghorn
