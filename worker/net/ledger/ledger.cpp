#include "worker/net/ledger/ledger.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "common/config/networks.h"
#include "common/ipc/scoreboard.h"
#include "worker/net/socket/socket_identity.h"

namespace pronghorn::worker {
namespace {

constexpr auto kRelease = std::memory_order_release;
constexpr auto kRelaxed = std::memory_order_relaxed;  // the writer's own values, and those of a dead writer
constexpr std::size_t kPage = 4096;

}  // namespace

struct Ledger::Header {
  std::atomic<std::uint32_t> dismissed;
  std::atomic<std::uint32_t> used;
  std::atomic<std::uint32_t> guilty;  // index_of() the entry + 1; 0: none
  RequestId guilty_request;           // stored before it
  LedgerBuffer<kReadBuffer> input;
  LedgerBuffer<kWriteBuffer> output;
};

struct Ledger::Block {
  static constexpr std::size_t kBytes = kPage - sizeof(std::uint64_t) - sizeof(std::uint32_t);
  std::atomic<std::uint64_t> from;  // position of its first byte
  std::atomic<std::uint32_t> next;  // index + 1; 0: the last one
  std::array<char, kBytes> bytes;
};

LedgerPeer LedgerPeer::of(const Peer& peer) noexcept { return of(peer, parse_ip_address(peer.client.address)); }

LedgerPeer LedgerPeer::of(const Peer& peer, const std::optional<IpAddress>& ip) noexcept {
  LedgerPeer entry;
  entry.port = peer.client.port;
  entry.flags = static_cast<std::uint8_t>((peer.loopback ? kLoopback : 0) | (peer.https ? kHttps : 0) |
                                          (peer.unix_socket ? kUnix : 0));
  if (ip) {
    entry.kind = ip->bits == 32 ? Address::ipv4 : Address::ipv6;
    entry.ip = ip->bytes;
  } else if (peer.client.address == "unix") {
    entry.kind = Address::unix_socket;
  }
  return entry;
}

Peer LedgerPeer::to_peer() const {
  Peer peer;
  if (kind == Address::ipv4 || kind == Address::ipv6) {
    peer.client.address = to_string(IpAddress{.bytes = ip, .bits = kind == Address::ipv4 ? 32U : 128U});
  } else {
    peer.client.address = kind == Address::unix_socket ? "unix" : "unknown";
  }
  peer.client.port = port;
  peer.loopback = (flags & kLoopback) != 0;
  peer.https = (flags & kHttps) != 0;
  peer.unix_socket = (flags & kUnix) != 0;
  return peer;
}

LedgerOutput LedgerEntry::output() const noexcept {
  const Output& output = outputs[output_index.load(std::memory_order_acquire) & 1U];
  return {.until = output.until.load(kRelaxed),
          .answers_until = output.answers_until.load(kRelaxed),
          .answers_end = output.answers_end.load(kRelaxed)};
}

Ledger::Ledger(std::size_t bytes) {
  static_assert(sizeof(Block) == kPage && sizeof(LedgerCell) * LedgerCell::kPerBlock == kPage);
  constexpr std::size_t kHeader = (sizeof(Header) + kPage - 1) / kPage * kPage;
  const std::size_t room = std::max(bytes, kMinimum) - kHeader;
  const std::size_t entry_bytes = room / 6 / kPage * kPage;
  entry_count_ = static_cast<std::uint32_t>(std::min<std::size_t>(entry_bytes / sizeof(LedgerEntry), 1U << 20U));
  block_count_ = static_cast<std::uint32_t>(std::min<std::size_t>((room - entry_bytes) / kPage, 1U << 20U));
  const std::size_t blocks_end = kHeader + entry_bytes + std::size_t{block_count_} * kPage;
  size_ = blocks_end + std::size_t{entry_count_} * sizeof(LedgerExtra);
  void* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "cannot allocate the ledger");
  auto* base = static_cast<char*>(memory);
  header_ = reinterpret_cast<Header*>(base);
  input_ = &header_->input;
  output_ = &header_->output;
  entries_ = reinterpret_cast<LedgerEntry*>(base + kHeader);
  blocks_ = reinterpret_cast<Block*>(base + kHeader + entry_bytes);
  extras_ = reinterpret_cast<LedgerExtra*>(base + blocks_end);
}

Ledger::~Ledger() { ::munmap(header_, size_); }

std::uint32_t Ledger::index_of(const LedgerEntry& entry) const noexcept {
  return static_cast<std::uint32_t>(&entry - entries_);
}

// --- The worker that owns it ----------------------------------------------------------------------------------------

LedgerEntry* Ledger::add(int fd, const LedgerPeer& peer, std::uint64_t read, std::uint64_t written,
                         std::uint64_t identity) noexcept {
  LedgerEntry* const entry = fill_entry(fd, peer, read, written, identity);
  if (entry != nullptr) entry->state.store(LedgerState::open, kRelease);
  return entry;
}

LedgerEntry* Ledger::take_up(int fd, const LedgerPeer& peer, const TakenUp& from) noexcept {
  LedgerEntry* const entry = fill_entry(fd, peer, from.answered, from.sent, from.identity);
  if (entry == nullptr) return nullptr;
  entry->requests.store(from.requests, kRelease);
  entry->opened_ms.store(from.opened_ms, kRelease);
  if (from.ends) entry->ends_at.store(std::max<std::uint64_t>(from.answered, 1), kRelease);
  entry->begun_until.store(from.begun_until, kRelease);
  entry->begun.store(from.begun, kRelease);
  if (!from.unanswered.empty()) static_cast<void>(keep_unanswered(*entry, from.answered, from.unanswered));
  entry->read.store(from.answered + from.unanswered.size(), kRelease);
  if (!from.unsent.empty()) static_cast<void>(keep_unsent(*entry, from.sent, from.unsent));
  if (from.file >= 0) note_file(*entry, from.file, from.sent + from.unsent.size(), from.file_offset);
  const std::uint64_t until = from.sent + from.unsent.size() + from.file_bytes;
  entry->set_output({.until = until, .answers_until = from.answered, .answers_end = until});
  if ((peer.flags & LedgerPeer::kKernelTls) != 0) {
    extra(*entry).records.begin(from.next_record, from.sent, from.records_base);
  }
  if (from.socket) {
    entry->socket_close.store(!from.closing ? SocketClose::no
                              : from.ends   ? SocketClose::done
                                            : SocketClose::due,
                              kRelease);
    entry->socket_truncated.store(from.truncated ? 1 : 0, kRelease);
    entry->upgraded_at.store(1, kRelease);
    note_socket(*entry, from.state, &from.marks, Counts::now);
  }
  entry->state.store(LedgerState::open, kRelease);
  return entry;
}

// Everything but `state`.
LedgerEntry* Ledger::fill_entry(int fd, const LedgerPeer& peer, std::uint64_t read, std::uint64_t written,
                                std::uint64_t identity) noexcept {
  if (identity == 0) identity = identity_of(fd);
  if (identity == 0) return nullptr;
  std::uint32_t index = header_->used.load(kRelaxed);
  if (!free_entries_.empty()) {
    index = free_entries_.back();
    free_entries_.pop_back();
  } else if (index == entry_count_) {
    return nullptr;
  } else {
    header_->used.store(index + 1, kRelease);
  }
  LedgerEntry& entry = entries_[index];
  entry.fd.store(fd, kRelease);
  entry.identity.store(identity, kRelease);
  entry.read.store(read, kRelease);
  entry.dispatched.store(read, kRelease);
  entry.sent.store(written, kRelease);
  entry.set_output({.until = written, .answers_until = read, .answers_end = written});
  entry.file.store(-1, kRelease);
  entry.ends_at.store(0, kRelease);
  entry.begun.store(Begun::no, kRelease);
  entry.requests.store(0, kRelease);
  entry.opened_ms.store(monotonic_ms(), kRelease);
  entry.peer = peer;
  return &entry;
}

void Ledger::remove(LedgerEntry& entry) noexcept {
  entry.state.store(LedgerState::free, kRelease);
  if (entry.upgraded_at.load(kRelaxed) != 0) forget_socket(entry);
  discard(entry.unanswered);
  discard(entry.unsent);
  const std::uint32_t index = index_of(entry);
  if (input_->is_of(entry)) input_->disown();
  if (output_->is_of(entry)) output_->disown();
  free_entries_.push_back(index);
}

void Ledger::note_file(LedgerEntry& entry, int file, std::uint64_t from, std::uint64_t offset) noexcept {
  LedgerExtra& more = extra(entry);
  more.file_from.store(from, kRelease);
  more.file_offset.store(offset, kRelease);
  entry.file.store(file, kRelease);
}

bool Ledger::keep(KeptBytes& kept, std::uint64_t position, std::string_view bytes) noexcept {
  std::uint32_t first = kept.first_block.load(kRelaxed);
  const bool begins = first == 0;
  const Span span = begins ? Span{.from = position, .until = position} : span_of(kept);
  if (span.until != position) {
    discard(kept);
    return false;
  }
  while (!bytes.empty()) {
    const std::uint32_t last = kept.last_block.load(kRelaxed);
    const bool full = first == 0 || position - blocks_[last - 1].from.load(kRelaxed) == Block::kBytes;
    const bool may = position - span.from < kShort || half_is_free();
    const std::uint32_t block = !full ? last : may ? take_block() : 0;
    if (block == 0) {
      kept.first_block.store(0, kRelease);
      free_chain(first);  // never noted, perhaps: `until` may be that of another connection
      return false;
    }
    Block& here = blocks_[block - 1];
    if (full) {
      here.from.store(position, kRelease);
      if (first == 0) {
        first = block;
      } else {
        blocks_[last - 1].next.store(block, kRelease);
      }
      kept.last_block.store(block, kRelease);
    }
    const std::uint64_t in_block = position - here.from.load(kRelaxed);
    const std::size_t part = std::min<std::size_t>(bytes.size(), Block::kBytes - in_block);
    std::memcpy(here.bytes.data() + in_block, bytes.data(), part);
    bytes.remove_prefix(part);
    position += part;
  }
  kept.until.store(position, kRelease);
  if (begins) kept.first_block.store(first, kRelease);
  return true;
}

void Ledger::discard(KeptBytes& kept) noexcept {
  const std::uint32_t first = kept.first_block.load(kRelaxed);
  if (first == 0) return;
  kept.first_block.store(0, kRelease);
  free_chain(first);
}

void Ledger::free_chain(std::uint32_t block) noexcept {
  while (block != 0) {
    free_blocks_.push_back(block);
    block = blocks_[block - 1].next.load(kRelaxed);
  }
}

void Ledger::discard_until(KeptBytes& kept, std::uint64_t position) noexcept {
  if (position >= kept.until.load(kRelaxed)) return discard(kept);
  for (std::uint32_t first = kept.first_block.load(kRelaxed); first != 0;) {
    const std::uint32_t next = blocks_[first - 1].next.load(kRelaxed);
    if (next == 0 || blocks_[next - 1].from.load(kRelaxed) > position) return;
    kept.first_block.store(next, kRelease);
    free_blocks_.push_back(first);
    first = next;
  }
}

// Index + 1 of a block that ends its chain; 0: there is none left.
std::uint32_t Ledger::take_block() noexcept {
  std::uint32_t block = 0;
  if (!free_blocks_.empty()) {
    block = free_blocks_.back();
    free_blocks_.pop_back();
  } else if (blocks_used_ < block_count_) {
    block = ++blocks_used_;
  } else {
    return 0;
  }
  blocks_[block - 1].next.store(0, kRelease);
  return block;
}

bool Ledger::half_is_free() const noexcept {
  return 2 * (free_blocks_.size() + block_count_ - blocks_used_) > block_count_;
}

void Ledger::blame(const LedgerEntry* entry, const RequestId& request) noexcept {
  header_->guilty_request = request;
  header_->guilty.store(entry == nullptr ? 0 : index_of(*entry) + 1, kRelease);
}

void Ledger::dismiss() noexcept { header_->dismissed.store(1, kRelease); }

// --- Whoever reads it -----------------------------------------------------------------------------------------------

bool Ledger::dismissed() const noexcept { return header_->dismissed.load(std::memory_order_acquire) != 0; }

std::uint32_t Ledger::used() const noexcept {
  return std::min(header_->used.load(std::memory_order_acquire), entry_count_);
}

bool Ledger::is_guilty(const LedgerEntry& entry) const noexcept {
  return header_->guilty.load(kRelaxed) == index_of(entry) + 1;
}

RequestId Ledger::guilty_request() const noexcept { return header_->guilty_request; }

std::uint64_t Ledger::records_base(const LedgerEntry& entry) const noexcept {
  if ((entry.peer.flags & LedgerPeer::kKernelTls) == 0) return 0;
  return extra(entry).records.base.load(kRelaxed);
}

bool Ledger::was_reading(const LedgerEntry& entry) const noexcept {
  return input_->is_of(entry) && input_->is_being_read();
}

Ledger::Span Ledger::span_of(const KeptBytes& kept) const noexcept {
  const std::uint32_t first = kept.first_block.load(kRelaxed);
  if (first == 0 || first > block_count_) return {};
  const std::uint64_t from = blocks_[first - 1].from.load(kRelaxed);
  return {.from = from, .until = std::max(from, kept.until.load(kRelaxed))};
}

std::uint64_t Ledger::copy_blocks(const KeptBytes& kept, std::uint64_t from, std::uint64_t until,
                                  std::span<char> out) const noexcept {
  const Span span = span_of(kept);
  if (from < span.from || from >= span.until) return from;
  const std::uint64_t end = std::min(until, span.until);
  std::uint64_t reached = from;
  std::uint32_t block = kept.first_block.load(kRelaxed);
  // The walk ends, whatever the chain looks like.
  for (std::uint32_t seen = 0; seen < block_count_ && reached < end; ++seen) {
    if (block == 0 || block > block_count_) break;
    const Block& here = blocks_[block - 1];
    const std::uint64_t begin = here.from.load(kRelaxed);
    if (begin > reached) break;
    if (const std::uint64_t skip = reached - begin; skip < Block::kBytes) {
      const std::uint64_t part = std::min<std::uint64_t>(end - reached, Block::kBytes - skip);
      std::memcpy(out.data() + (reached - from), here.bytes.data() + skip, part);
      reached += part;
    }
    block = here.next.load(kRelaxed);
  }
  return reached;
}

// `reached`: up to where blocks have it.
template <std::size_t Size>
bool Ledger::copy(const LedgerEntry& entry, const LedgerBuffer<Size>& buffer, std::uint64_t reached, std::uint64_t from,
                  std::uint64_t until, std::span<char> out) const noexcept {
  if (reached == until) return true;
  if (!buffer.is_of(entry)) return false;
  const std::uint64_t begin = buffer.from();
  const std::span<const char> owned = buffer.owned();
  if (reached < begin || until < begin || until - begin > owned.size()) return false;
  std::memcpy(out.data() + (reached - from), owned.data() + (reached - begin), until - reached);
  return true;
}

bool Ledger::copy_unanswered(const LedgerEntry& entry, std::uint64_t from, std::uint64_t until,
                             std::span<char> out) const noexcept {
  if (from > until || until - from > out.size()) return false;
  return copy(entry, *input_, copy_blocks(entry.unanswered, from, until, out), from, until, out);
}

bool Ledger::copy_unsent(const LedgerEntry& entry, std::uint64_t from, std::uint64_t until,
                         std::span<char> out) const noexcept {
  if (from > until || until - from > out.size()) return false;
  return copy(entry, *output_, copy_blocks(entry.unsent, from, until, out), from, until, out);
}

}  // namespace pronghorn::worker
