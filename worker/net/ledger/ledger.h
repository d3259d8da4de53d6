// The ledger: shared memory in which a worker notes, for each of its connections, what another process needs to go on
// with it when the worker dies at any instruction.
//
// Context:   written by the loop thread of one worker and by nobody else. Read by its guardian (worker/guardian/) after
//            the worker has died, and by tests.
// Order:     every store is a release store, so a reader finds the stores of the dead worker in program order.
// Positions: bytes since the connection began, as the kernel counts them (worker/net/socket/socket_positions.h). A connection
//            is idle when everything read has been answered and everything written has been sent.
// Buffers:   the buffers that the loop reads into and writes from are part of the ledger, and serve one connection at a
//            time. Bytes that stay unanswered, or that a socket has no room for, move into blocks before the next
//            connection's turn.
// WebSockets: what requests are to other connections, messages are to them: they are dispatched and answered by the
//            same positions. Their output need not answer anything. What else they need: worker/net/ledger/ledger_socket.h.
// Trust:     a reader takes sizes and counts from its own Ledger object, which the worker cannot overwrite. It does not
//            trust the shared part: it checks indexes, follows chains no further than they can be long, and finds no
//            pointers there.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/text/request_id.h"
#include "worker/net/ledger/ledger_buffer.h"
#include "worker/net/ledger/ledger_cells.h"
#include "worker/net/ledger/ledger_socket.h"
#include "worker/net/socket/peer.h"

namespace pronghorn::worker {

enum class LedgerState : std::uint8_t {
  free,
  open,     // the worker serves this connection
  leaving,  // the worker is passing it on; another worker may have it already
};

// What dead workers had done of the unanswered requests of a connection that was taken up.
enum class Begun : std::uint32_t {
  no,
  again,    // they may be run once more, if their methods allow that
  unknown,  // they must not be run again, and nobody knows whether they were carried out
  guilty,   // the last of them crashed the worker; the others are as with `again`
};

// The peer of a connection, as its requests see it: a PROXY header may have named another than that of the socket.
struct LedgerPeer {
  static constexpr std::uint8_t kLoopback = 1;
  static constexpr std::uint8_t kHttps = 2;
  static constexpr std::uint8_t kUnix = 4;       // the connection, whoever the client behind a proxy may be
  static constexpr std::uint8_t kKernelTls = 8;  // the kernel encrypts the connection (worker/net/socket/kernel_tls.h)

  enum class Address : std::uint8_t { unknown, unix_socket, ipv4, ipv6 };

  std::uint16_t port = 0;
  std::uint8_t flags = 0;
  Address kind = Address::unknown;
  std::array<std::uint8_t, 16> ip{};

  // Parses the address.
  [[nodiscard]] static LedgerPeer of(const Peer& peer) noexcept;
  // `ip`: the same address, if it is one.
  [[nodiscard]] static LedgerPeer of(const Peer& peer, const std::optional<IpAddress>& ip) noexcept;
  // Leaves trusted_proxies empty: they are in the reader's own configuration.
  [[nodiscard]] Peer to_peer() const;
};

// What was written to a connection, or waits to be.
struct LedgerOutput {
  std::uint64_t until = 0;          // position of its end
  std::uint64_t answers_until = 0;  // requests that end here or earlier are answered by it
  std::uint64_t answers_end = 0;    // where the last of these responses ends; the rest belongs to one that is not whole
};

// Of a connection that the kernel encrypts: what tells how much was written, because the kernel counts encrypted bytes.
// Each record is one write of up to kRecordBytes, which the kernel takes whole or not at all, and the kernel tells the
// number of the next one.
struct LedgerRecords {
  std::atomic<std::uint64_t> last;                 // the number of the last one that was to be written
  std::array<std::atomic<std::uint64_t>, 2> ends;  // by even and odd numbers: the position after it, and the one before
  // Constant: encrypted bytes that are written when everything has left, without kRecordOverhead for each record and
  // the position.
  std::atomic<std::uint64_t> base;

  // For the worker. The record `next` is the first one, at this position.
  void begin(std::uint64_t next, std::uint64_t position, std::uint64_t constant) noexcept {
    base.store(constant, std::memory_order_release);
    ends[(next - 1) & 1U].store(position, std::memory_order_release);
    last.store(next - 1, std::memory_order_release);
  }
  // The record `next` is about to be written.
  void will_write(std::uint64_t next, std::uint64_t end) noexcept {
    ends[next & 1U].store(end, std::memory_order_release);
    last.store(next, std::memory_order_release);
  }
  // The position up to which the kernel has taken everything whose next record has this number. Empty: it contradicts.
  [[nodiscard]] std::optional<std::uint64_t> written(std::uint64_t next) const noexcept {
    const std::uint64_t noted = last.load(std::memory_order_acquire);
    if (next != noted && next != noted + 1) return std::nullopt;
    return ends[(next - 1) & 1U].load(std::memory_order_relaxed);
  }
};

// What few connections need: those that the kernel encrypts, WebSockets, and those that are sent a file. Apart, so that
// the others do not pay for it.
struct LedgerExtra {
  LedgerRecords records;                   // valid with LedgerPeer::kKernelTls
  std::array<LedgerNote, 2> notes;         // of a WebSocket; the next one is written to that which does not count
  std::atomic<std::uint64_t> file_from;    // valid with LedgerEntry::file: position of the file's first byte
  std::atomic<std::uint64_t> file_offset;  // in the file, of that byte
};

// Bytes of a connection that are kept in blocks. Each block holds its position, so blocks are dropped with one store.
struct KeptBytes {
  std::atomic<std::uint64_t> until;        // position of their end
  std::atomic<std::uint32_t> first_block;  // index + 1; 0: none, and `until` means nothing
  std::atomic<std::uint32_t> last_block;   // for the writer
};

// One connection. Zeroed memory is a free entry.
struct alignas(64) LedgerEntry {
  std::atomic<LedgerState> state;
  std::atomic<std::uint8_t> output_index;  // which of outputs is valid; the next one is written to the other
  // Of a WebSocket, beside its notes in LedgerExtra.
  std::atomic<SocketClose> socket_close;
  std::atomic<std::uint8_t> socket_truncated;  // 1: a part of a message was lost with an earlier worker
  std::atomic<std::int32_t> fd;
  std::atomic<std::uint64_t>
      identity;  // of the socket (worker/net/socket/socket_identity.h): the descriptor still is it

  std::atomic<std::uint64_t> read;        // bytes that the worker knows it has read
  std::atomic<std::uint64_t> dispatched;  // requests that begin before this were given to the application
  std::atomic<std::uint64_t> sent;        // bytes that the kernel has taken, as far as the worker knows
  std::atomic<std::uint64_t> ends_at;     // once requests up to here are answered, the connection ends; 0: it goes on
  // Where the request ends that asked to become a WebSocket; 0: none has. It is one once the output answers it.
  std::atomic<std::uint64_t> upgraded_at;
  struct Output {
    std::atomic<std::uint64_t> until;
    std::atomic<std::uint64_t> answers_until;
    std::atomic<std::uint64_t> answers_end;
  };
  std::array<Output, 2> outputs;

  std::atomic<std::uint64_t> begun_until;  // later requests have not been begun by a dead worker
  std::atomic<Begun> begun;                // of unanswered requests that begin before begun_until
  std::atomic<std::uint32_t> requests;     // on this connection, with those of earlier workers

  KeptBytes unanswered;
  KeptBytes unsent;

  std::atomic<std::uint64_t> opened_ms;
  std::atomic<std::uint64_t> begun_ns;  // steady clock: when the last request began, for the access log
  std::atomic<std::int32_t> file;       // the output ends with bytes of this file; -1: of none
  LedgerPeer peer;

  [[nodiscard]] LedgerOutput output() const noexcept;
  [[nodiscard]] bool is_socket() const noexcept {
    const std::uint64_t upgraded = upgraded_at.load(std::memory_order_relaxed);
    return upgraded != 0 && output().answers_until >= upgraded;
  }
  // For the worker.
  void set_output(const LedgerOutput& output) noexcept {
    const unsigned next = ~unsigned{output_index.load(std::memory_order_relaxed)} & 1U;
    outputs[next].until.store(output.until, std::memory_order_release);
    outputs[next].answers_until.store(output.answers_until, std::memory_order_release);
    outputs[next].answers_end.store(output.answers_end, std::memory_order_release);
    output_index.store(static_cast<std::uint8_t>(next), std::memory_order_release);
  }
};
static_assert(sizeof(LedgerEntry) == 192);

// A connection that another worker has served, as its ledger and the kernel had it.
struct TakenUp {
  std::uint64_t answered = 0;        // requests up to here are answered, once `unsent` has been sent
  std::string_view unanswered = {};  // bytes of the client from there on
  std::uint64_t sent = 0;            // bytes that the kernel has taken
  std::string_view unsent = {};      // the bytes that follow those
  int file = -1;                     // file_bytes of this file, from file_offset, follow `unsent`; -1: no file
  std::uint64_t file_offset = 0;
  std::uint64_t file_bytes = 0;
  bool ends = false;  // the connection ends after that
  Begun begun = Begun::no;
  std::uint64_t begun_until = 0;
  std::uint32_t requests = 0;
  std::uint64_t opened_ms = 0;
  std::uint64_t identity = 0;  // of its descriptor; 0: ask the kernel
  // With LedgerPeer::kKernelTls: see LedgerRecords.
  std::uint64_t next_record = 0;
  std::uint64_t records_base = 0;
  // Of a WebSocket:
  bool socket = false;
  bool closing = false;    // its close handler had begun; with `ends`, it had ended
  bool truncated = false;  // a part of a message was lost
  std::string_view state = {};
  std::span<const LedgerMark> marks = {};
};

class Ledger {
 public:
  static constexpr std::size_t kReadBuffer = 64 * 1024;
  static constexpr std::size_t kWriteBuffer = 72 * 1024;
  static constexpr std::size_t kMinimum = 1024 * 1024;
  // The most that is kept of the requests of one connection.
  static constexpr std::size_t kMaxUnanswered = 64 * 1024;
  // What one connection keeps in each direction is short up to here. What is longer (messages of WebSockets, output
  // for slow clients) gets blocks only while half of all are free: a few such clients must not leave the others
  // without any.
  static constexpr std::size_t kShort = 64 * 1024;

  // Shared, zeroed memory of about `bytes` (at least kMinimum): one sixth for entries, the rest for blocks. Pages that
  // are never written cost nothing. Inherited by clone() and fork(), not by exec. Throws std::system_error.
  explicit Ledger(std::size_t bytes);
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  ~Ledger();

  // --- The worker that owns it ---------------------------------------------------------------------------------------

  // Notes an open socket that has read and written so many bytes and owes nothing. Null if the ledger is full; the
  // connection then ends with the worker. `identity` is that of the socket; 0: ask the kernel.
  [[nodiscard]] LedgerEntry* add(int fd, const LedgerPeer& peer, std::uint64_t read, std::uint64_t written,
                                 std::uint64_t identity = 0) noexcept;
  // Call before the descriptor is closed: another connection may get its number right after.
  void remove(LedgerEntry& entry) noexcept;

  // Call leave() before the connection is sent to another worker; then remove(), or stay() if it could not be sent.
  void leave(LedgerEntry& entry) noexcept { entry.state.store(LedgerState::leaving, std::memory_order_release); }
  void stay(LedgerEntry& entry) noexcept { entry.state.store(LedgerState::open, std::memory_order_release); }

  // Like add(), for a connection that another worker has served. If there is no room for its bytes, it is noted but
  // cannot survive until they are answered and sent.
  [[nodiscard]] LedgerEntry* take_up(int fd, const LedgerPeer& peer, const TakenUp& connection) noexcept;

  // The buffer that the loop reads into, for one connection at a time. It holds bytes that are in no block yet.
  [[nodiscard]] std::span<char, kReadBuffer> read_buffer() noexcept { return input_->bytes(); }
  // Call before each read into it. Null: a connection without an entry.
  void begin_read(const LedgerEntry* entry) noexcept {
    input_->disown();
    if (entry != nullptr) input_->give_to(*entry, entry->read.load(std::memory_order_relaxed), input_->kBeingRead);
  }
  // Call after the read, also if nothing was read.
  void end_read(LedgerEntry& entry, std::size_t size) noexcept {
    entry.read.store(entry.read.load(std::memory_order_relaxed) + size, std::memory_order_release);
    input_->set_size(static_cast<std::uint32_t>(size));
  }

  // Copies `first` and `second`, which are written next and begin at `position`. False if they do not fit into the
  // buffer; the ledger then does not hold them.
  bool fill_write_buffer(const LedgerEntry& entry, std::uint64_t position, std::string_view first,
                         std::string_view second) noexcept {
    const std::size_t size = first.size() + second.size();
    if (size > kWriteBuffer) return false;
    output_->disown();
    char* const bytes = output_->bytes().data();
    std::memcpy(bytes, first.data(), first.size());
    if (!second.empty()) std::memcpy(bytes + first.size(), second.data(), second.size());
    output_->give_to(entry, position, static_cast<std::uint32_t>(size));
    return true;
  }

  // Append `bytes`, which begin at `position`, to those kept. If there is no room, or they do not begin where those
  // end, drop all and return false.
  bool keep_unanswered(LedgerEntry& entry, std::uint64_t position, std::string_view bytes) noexcept {
    return keep(entry.unanswered, position, bytes);
  }
  bool keep_unsent(LedgerEntry& entry, std::uint64_t position, std::string_view bytes) noexcept {
    return keep(entry.unsent, position, bytes);
  }
  // Notes that the output, once it is noted, ends with bytes of `file`: those from `offset` on, of which the first has the
  // position `from`.
  void note_file(LedgerEntry& entry, int file, std::uint64_t from, std::uint64_t offset) noexcept;
  // Note that a connection is a WebSocket with this state, and with these marks or (null) those that it has. Replaces
  // what was noted before. If there is no room, or a limit is passed, nothing is noted any more, and it is false: the
  // connection ends with the worker.
  bool note_socket(LedgerEntry& entry, std::string_view state, const std::span<const LedgerMark>* marks,
                   Counts counts) noexcept;
  // Changes one mark of the last note. Without effect if there is none.
  void mark(LedgerEntry& entry, std::size_t index, const LedgerMark& mark, Counts counts) noexcept;
  // Gives the memory back of a note that another has replaced.
  void settle_notes(LedgerEntry& entry) noexcept;

  void discard(KeptBytes& kept) noexcept;
  // Discards blocks that end at `position` or before.
  void discard_until(KeptBytes& kept, std::uint64_t position) noexcept;

  // Notes that this request of this connection is crashing the worker. Null: no request is. Async-signal-safe.
  void blame(const LedgerEntry* entry, const RequestId& request) noexcept;

  // Notes that the worker ends in order, so no connection is to be taken up.
  void dismiss() noexcept;

  // --- Whoever reads it ----------------------------------------------------------------------------------------------

  [[nodiscard]] bool dismissed() const noexcept;
  // Entries from here on have never been used.
  [[nodiscard]] std::uint32_t used() const noexcept;
  [[nodiscard]] const LedgerEntry& entry(std::uint32_t index) const noexcept { return entries_[index]; }
  [[nodiscard]] LedgerExtra& extra(const LedgerEntry& entry) const noexcept { return extras_[index_of(entry)]; }
  // LedgerRecords::base; 0 if the kernel does not encrypt the connection.
  [[nodiscard]] std::uint64_t records_base(const LedgerEntry& entry) const noexcept;
  [[nodiscard]] std::uint32_t capacity() const noexcept { return entry_count_; }
  [[nodiscard]] std::uint32_t blocks() const noexcept { return block_count_; }
  // More bytes than any connection can have here.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // Positions of the first byte that is kept and of their end. Equal if there are none.
  struct Span {
    std::uint64_t from = 0;
    std::uint64_t until = 0;
  };
  [[nodiscard]] Span span_of(const KeptBytes& kept) const noexcept;
  [[nodiscard]] bool is_guilty(const LedgerEntry& entry) const noexcept;
  [[nodiscard]] RequestId guilty_request() const noexcept;
  // What is noted of a WebSocket, copied to `state` and `marks`, which have room for the limits. Empty: nothing counts.
  [[nodiscard]] std::optional<SocketNote> read_note(const LedgerEntry& entry, std::span<char> state,
                                                    std::span<LedgerMark> marks) const noexcept;
  // Whether the worker died during a read for this entry: `read` may then be less than the kernel counts.
  [[nodiscard]] bool was_reading(const LedgerEntry& entry) const noexcept;
  // Copy the bytes from position `from` to `until` to `out`, from blocks and from the buffer. False if not all are
  // there. Allocate nothing.
  [[nodiscard]] bool copy_unanswered(const LedgerEntry& entry, std::uint64_t from, std::uint64_t until,
                                     std::span<char> out) const noexcept;
  [[nodiscard]] bool copy_unsent(const LedgerEntry& entry, std::uint64_t from, std::uint64_t until,
                                 std::span<char> out) const noexcept;

 private:
  struct Header;
  struct Block;

  [[nodiscard]] LedgerEntry* fill_entry(int fd, const LedgerPeer& peer, std::uint64_t read, std::uint64_t written,
                                        std::uint64_t identity) noexcept;
  [[nodiscard]] std::uint32_t index_of(const LedgerEntry& entry) const noexcept;
  void free_chain(std::uint32_t block) noexcept;
  [[nodiscard]] std::uint32_t take_block() noexcept;
  [[nodiscard]] bool half_is_free() const noexcept;
  [[nodiscard]] LedgerCell* cell_at(std::uint32_t cell) const noexcept;
  [[nodiscard]] std::uint32_t take_cell() noexcept;
  [[nodiscard]] std::uint32_t take_cells(std::size_t count) noexcept;
  void free_cells(std::uint32_t cell) noexcept;
  [[nodiscard]] std::uint32_t build_note(std::string_view state, const std::span<const LedgerMark>* marks,
                                         std::uint32_t before, std::uint64_t position) noexcept;
  [[nodiscard]] bool has_waiting_mark(std::uint32_t note, std::uint64_t until) const noexcept;
  void drop_note(LedgerNote& note) noexcept;
  void forget_notes(LedgerEntry& entry) noexcept;
  void forget_socket(LedgerEntry& entry) noexcept;
  bool keep(KeptBytes& kept, std::uint64_t position, std::string_view bytes) noexcept;
  // Copies what blocks hold of [from, until); returns the position up to which it is contiguous from `from`.
  [[nodiscard]] std::uint64_t copy_blocks(const KeptBytes& kept, std::uint64_t from, std::uint64_t until,
                                          std::span<char> out) const noexcept;
  template <std::size_t Size>
  [[nodiscard]] bool copy(const LedgerEntry& entry, const LedgerBuffer<Size>& buffer, std::uint64_t reached,
                          std::uint64_t from, std::uint64_t until, std::span<char> out) const noexcept;

  std::size_t size_;
  Header* header_;
  LedgerBuffer<kReadBuffer>* input_;
  LedgerBuffer<kWriteBuffer>* output_;
  LedgerEntry* entries_;
  Block* blocks_;
  LedgerExtra* extras_;  // of the entries with the same index: most connections need none
  std::uint32_t entry_count_;
  std::uint32_t block_count_;

  // The writer's own.
  std::vector<std::uint32_t> free_entries_;
  std::vector<std::uint32_t> free_blocks_;
  LedgerCells cells_;
  std::uint32_t blocks_used_ = 0;
};

}  // namespace pronghorn::worker
