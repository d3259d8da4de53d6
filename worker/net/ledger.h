// The ledger: shared memory in which a worker notes, for each of its connections, what another process needs to go on
// with it when the worker dies at any instruction.
//
// Context:   written by the loop thread of one worker and by nobody else. Read by its guardian (worker/guardian/) after
//            the worker has died, and by tests.
// Order:     every store is a release store, so a reader finds the stores of the dead worker in program order.
// Positions: bytes since the connection began, as the kernel counts them (worker/net/socket_positions.h). A connection
//            is idle when everything read has been answered and everything written has been sent.
// Trust:     a reader takes sizes and counts from its own Ledger object, which the worker cannot scribble on, and treats
//            whatever is in the shared part as data: indexes are checked, chains end, there are no pointers.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "worker/net/peer.h"

namespace pronghorn::worker {

enum class LedgerState : std::uint32_t {
  free,
  open,     // the worker serves this connection
  leaving,  // the worker is passing it on: whether the other side has it already is not known
};

// What is known of unanswered requests of a connection that was taken up: workers have died while they ran them.
enum class Begun : std::uint32_t {
  no,
  again,    // they may be run once more, if their methods allow that
  unknown,  // they must not be run again, and nobody knows whether they were carried out
  guilty,   // the last of them crashed the worker; the others are as with `again`
};

// The peer of a connection, as its requests see it: a proxy in front may have named another than the socket does.
struct LedgerPeer {
  static constexpr std::uint8_t kLoopback = 1;
  static constexpr std::uint8_t kHttps = 2;
  static constexpr std::uint8_t kUnix = 4;  // the socket, not the client

  std::uint16_t port = 0;
  std::uint8_t flags = 0;
  std::uint8_t address_size = 0;
  std::array<char, 60> address{};  // longer addresses do not occur: "unix", "unknown" or an IP address

  [[nodiscard]] static LedgerPeer of(const Peer& peer) noexcept;
  // Without trusted_proxies, which is the reader's own configuration.
  [[nodiscard]] Peer to_peer() const;
};

// One connection. Zeroed memory is a free entry.
struct alignas(64) LedgerEntry {
  std::atomic<LedgerState> state;
  std::atomic<std::int32_t> fd;
  std::atomic<std::uint64_t> cookie;  // SO_COOKIE: the descriptor still is this socket

  std::atomic<std::uint64_t> read;           // bytes that the worker knows it has read
  std::atomic<std::uint64_t> answered;       // requests that end here or earlier are done with
  std::atomic<std::uint64_t> dispatched;     // requests that begin before this were given to the application
  std::atomic<std::uint64_t> sent;           // bytes that the kernel has taken
  std::atomic<std::uint64_t> sending_until;  // a write is under way: once it has left whole, `sent` is this,
  std::atomic<std::uint64_t> answers_until;  // `answered` is this,
  std::atomic<std::uint64_t> answers_end;    // and `answered_end` is this
  std::atomic<std::uint64_t> answered_end;   // what was sent after this belongs to requests that are not answered
  std::atomic<std::uint64_t> ends_at;        // once `answered` is this or more, the connection ends; 0: it goes on

  std::atomic<Begun> begun;                // of unanswered requests that begin …
  std::atomic<std::uint64_t> begun_until;  // … before this; of others nothing is known

  // Unanswered bytes that are kept in blocks: `saved` of them, the first one at position saved_from.
  std::atomic<std::uint64_t> saved_from;
  std::atomic<std::uint32_t> saved;
  std::atomic<std::uint32_t> first_block;  // index + 1; 0: none
  std::atomic<std::uint32_t> last_block;   // for the writer

  std::atomic<std::uint32_t> requests;  // on this connection, ever: keep_alive_requests counts on
  std::atomic<std::uint64_t> opened_ms;
  LedgerPeer peer;
};
static_assert(sizeof(LedgerEntry) <= 256);

class Ledger {
 public:
  static constexpr std::size_t kReadBuffer = 64 * 1024;
  static constexpr std::size_t kMinimum = 1024 * 1024;
  // Of one connection: a client that sends more before it is answered is not saved.
  static constexpr std::size_t kMaxSaved = 64 * 1024;

  // Shared, zeroed memory of about `bytes` (at least kMinimum): one eighth for entries, the rest for blocks. Pages that
  // are never written cost nothing. Inherited by clone() and fork(), not by exec. Throws std::system_error.
  explicit Ledger(std::size_t bytes);
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  ~Ledger();

  // --- The worker that owns it ---------------------------------------------------------------------------------------

  // Notes an open socket that has read and written so many bytes and owes nothing. Null, and the connection simply does
  // not survive, when the ledger is full. One system call.
  [[nodiscard]] LedgerEntry* add(int fd, const LedgerPeer& peer, std::uint64_t read, std::uint64_t written) noexcept;
  // Before the descriptor is closed: its number may be another connection's right after.
  void remove(LedgerEntry& entry) noexcept;

  // Before the connection is sent to another worker. remove() follows, or stay() when it could not be sent.
  void leave(LedgerEntry& entry) noexcept { entry.state.store(LedgerState::leaving, std::memory_order_release); }
  void stay(LedgerEntry& entry) noexcept { entry.state.store(LedgerState::open, std::memory_order_release); }

  // The same for a connection that another worker has served: `bytes` of its client, which begin at `answered`, are
  // unanswered. When there is no room for them, it is noted and does not survive until they are answered.
  [[nodiscard]] LedgerEntry* take_up(int fd, const LedgerPeer& peer, std::uint64_t answered, std::uint64_t written,
                                     Begun begun, std::uint64_t begun_until, std::string_view bytes) noexcept;

  // What the loop reads into, one connection at a time: bytes that are in no block yet are here.
  [[nodiscard]] std::span<char> read_buffer() noexcept;
  // To be called before each read into it. Null: a connection that is not noted.
  void begin_read(const LedgerEntry* entry) noexcept;
  // After it, also when nothing was read.
  void end_read(LedgerEntry& entry, std::size_t size) noexcept;

  // Keeps `bytes`, which begin at `position`, behind those kept already. False, and nothing is kept any more, when there
  // is no room or they do not follow on.
  bool save(LedgerEntry& entry, std::uint64_t position, std::string_view bytes) noexcept;
  void discard_saved(LedgerEntry& entry) noexcept;

  // The request of this connection crashes the worker. Async-signal-safe; null: none does.
  void blame(const LedgerEntry* entry) noexcept;

  // The worker ends in order: nothing is to be taken up.
  void dismiss() noexcept;

  // --- Whoever reads it ----------------------------------------------------------------------------------------------

  [[nodiscard]] bool dismissed() const noexcept;
  // Entries from here on have never been used.
  [[nodiscard]] std::uint32_t used() const noexcept;
  [[nodiscard]] const LedgerEntry& entry(std::uint32_t index) const noexcept { return entries_[index]; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return entry_count_; }
  [[nodiscard]] std::uint32_t blocks() const noexcept { return block_count_; }
  [[nodiscard]] bool is_guilty(const LedgerEntry& entry) const noexcept;
  // Whether the worker died during a read for this entry: then `read` may be behind the kernel.
  [[nodiscard]] bool was_reading(const LedgerEntry& entry) const noexcept;
  // Copies bytes from position `from` up to `until` to `out`, from blocks and the read buffer. False when they are not
  // all there. Allocates nothing.
  [[nodiscard]] bool copy_unanswered(const LedgerEntry& entry, std::uint64_t from, std::uint64_t until,
                                     std::span<char> out) const noexcept;

 private:
  struct Header;
  struct Block;

  [[nodiscard]] LedgerEntry* fill_entry(int fd, const LedgerPeer& peer, std::uint64_t read,
                                        std::uint64_t written) noexcept;
  [[nodiscard]] std::uint32_t index_of(const LedgerEntry& entry) const noexcept;
  [[nodiscard]] std::uint32_t take_block() noexcept;
  // Copies what blocks hold of [from, until); returns the position up to which it is contiguous from `from`.
  [[nodiscard]] std::uint64_t copy_blocks(const LedgerEntry& entry, std::uint64_t from, std::uint64_t until,
                                          std::span<char> out) const noexcept;

  std::size_t size_;
  Header* header_;
  LedgerEntry* entries_;
  Block* blocks_;
  std::uint32_t entry_count_;
  std::uint32_t block_count_;

  // The writer's own.
  std::vector<std::uint32_t> free_entries_;
  std::vector<std::uint32_t> free_blocks_;
  std::uint32_t blocks_used_ = 0;
};

}  // namespace pronghorn::worker
