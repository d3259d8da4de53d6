// The keys of TLS session tickets (RFC 5077, RFC 8446 section 4.6.1): shared memory that the supervisor writes and every
// worker reads, so that a client resumes its session whichever worker it meets, also after a reload, a crash or an
// upgrade of the server's program.
//
// The supervisor makes a key every kTicketKeyIssues. Tickets are sealed with the newest key; the earlier ones are kept
// for kTicketKeyKept more, for tickets that clients still have, and then overwritten.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace pronghorn {

struct TicketKey {
  static constexpr std::size_t kNameSize = 16;
  using Name = std::array<std::uint8_t, kNameSize>;

  Name name{};                          // in every ticket, in the clear
  std::array<std::uint8_t, 32> aes{};   // for AES-256
  std::array<std::uint8_t, 32> hmac{};  // for HMAC with SHA-256

  TicketKey() = default;
  TicketKey(const TicketKey&) = default;
  TicketKey& operator=(const TicketKey&) = default;
  ~TicketKey();  // wipes it
};

inline constexpr std::chrono::hours kTicketKeyIssues{12};
inline constexpr std::chrono::hours kTicketKeyKept{24};  // after that; a ticket's lifetime must not be longer

// Context: one writer, the supervisor; any number of readers, in any process and thread. No locks, and no call that can
// block. What is read is one whole key or nothing, whatever the memory holds.
class TicketKeys {
 public:
  using Time = std::chrono::seconds;  // of now(): continues while the machine sleeps, never jumps

  // Supervisor: new memory with one key. Throws std::system_error.
  [[nodiscard]] static TicketKeys create(Time now);
  // Supervisor: takes the descriptor over, from an earlier image of the program or the service manager. Throws
  // std::runtime_error, with the descriptor closed, if the memory is not of this build; then create() new keys.
  [[nodiscard]] static TicketKeys adopt(int fd);
  // Worker: maps the memory for reading only and closes the descriptor. Throws as adopt().
  [[nodiscard]] static TicketKeys attach(int fd);

  TicketKeys(TicketKeys&& other) noexcept;
  TicketKeys& operator=(TicketKeys&& other) noexcept;
  ~TicketKeys();

  // -1 in a worker.
  [[nodiscard]] int fd() const noexcept { return fd_; }

  // Supervisor: makes a key if the newest one is due, and forgets those that have expired. Call about once a minute.
  // Returns whether there is a new key. Throws std::system_error without randomness; the keys then stay.
  bool rotate(Time now);

  // The key that new tickets are sealed with. Nothing only if the memory is damaged, or this was moved from: then issue
  // no ticket.
  [[nodiscard]] std::optional<TicketKey> current() const noexcept;

  struct Found {
    TicketKey key;
    bool renew = false;  // it is not the newest: give the client a new ticket
  };
  // The key of this name. Nothing: it has expired, or was never ours; then do a full handshake.
  [[nodiscard]] std::optional<Found> find(std::span<const std::uint8_t> name) const noexcept;

  // CLOCK_BOOTTIME.
  [[nodiscard]] static Time now() noexcept;

 private:
  struct Memory;
  struct Slot;
  TicketKeys(int fd, Memory* memory) noexcept : fd_(fd), memory_(memory) {}
  [[nodiscard]] static Memory* map(int fd, bool writable);
  void put(Slot& slot, const TicketKey* key, Time made);
  [[nodiscard]] static std::optional<std::pair<TicketKey, Time>> get(const Slot& slot) noexcept;

  int fd_ = -1;
  Memory* memory_ = nullptr;
};

}  // namespace pronghorn
