#include "worker/net/ledger.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "common/ipc/scoreboard.h"

namespace pronghorn::worker {
namespace {

constexpr auto kRelease = std::memory_order_release;
constexpr auto kRelaxed = std::memory_order_relaxed;  // the writer's own values, and those of a dead writer
constexpr std::size_t kPage = 4096;

}  // namespace

struct Ledger::Header {
  std::atomic<std::uint32_t> dismissed;
  std::atomic<std::uint32_t> used;
  std::atomic<std::uint32_t> guilty;  // index + 1; 0: none
  // What is in the read buffer: bytes of this entry (index + 1; 0: of none), the first one at this position.
  std::atomic<std::uint32_t> buffer_owner;
  std::atomic<std::uint32_t> reading;  // 1 from begin_read() to end_read()
  std::atomic<std::uint64_t> buffer_from;
  alignas(64) std::array<char, kReadBuffer> buffer;
};

struct Ledger::Block {
  static constexpr std::size_t kBytes = kPage - sizeof(std::uint32_t);
  std::atomic<std::uint32_t> next;  // index + 1; 0: the last one
  std::array<char, kBytes> bytes;
};

LedgerPeer LedgerPeer::of(const Peer& peer) noexcept {
  LedgerPeer entry;
  entry.port = peer.client.port;
  entry.flags = static_cast<std::uint8_t>((peer.loopback ? kLoopback : 0) | (peer.https ? kHttps : 0) |
                                          (peer.unix_socket ? kUnix : 0));
  entry.address_size = static_cast<std::uint8_t>(std::min(peer.client.address.size(), entry.address.size()));
  std::copy_n(peer.client.address.begin(), entry.address_size, entry.address.begin());
  return entry;
}

Peer LedgerPeer::to_peer() const {
  Peer peer;
  peer.client.address.assign(address.data(), std::min<std::size_t>(address_size, address.size()));
  peer.client.port = port;
  peer.loopback = (flags & kLoopback) != 0;
  peer.https = (flags & kHttps) != 0;
  peer.unix_socket = (flags & kUnix) != 0;
  return peer;
}

Ledger::Ledger(std::size_t bytes) {
  static_assert(sizeof(Block) == kPage);
  constexpr std::size_t kHeader = (sizeof(Header) + kPage - 1) / kPage * kPage;
  const std::size_t room = std::max(bytes, kMinimum) - kHeader;
  const std::size_t entry_bytes = room / 8 / kPage * kPage;
  entry_count_ = static_cast<std::uint32_t>(std::min<std::size_t>(entry_bytes / sizeof(LedgerEntry), 1U << 20U));
  block_count_ = static_cast<std::uint32_t>(std::min<std::size_t>((room - entry_bytes) / kPage, 1U << 20U));
  size_ = kHeader + entry_bytes + std::size_t{block_count_} * kPage;
  void* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "cannot allocate the ledger");
  auto* base = static_cast<char*>(memory);
  header_ = reinterpret_cast<Header*>(base);
  entries_ = reinterpret_cast<LedgerEntry*>(base + kHeader);
  blocks_ = reinterpret_cast<Block*>(base + kHeader + entry_bytes);
}

Ledger::~Ledger() { ::munmap(header_, size_); }

std::uint32_t Ledger::index_of(const LedgerEntry& entry) const noexcept {
  return static_cast<std::uint32_t>(&entry - entries_);
}

// --- The worker that owns it ----------------------------------------------------------------------------------------

LedgerEntry* Ledger::add(int fd, const LedgerPeer& peer, std::uint64_t read, std::uint64_t written) noexcept {
  LedgerEntry* const entry = fill_entry(fd, peer, read, written);
  if (entry != nullptr) entry->state.store(LedgerState::open, kRelease);
  return entry;
}

LedgerEntry* Ledger::take_up(int fd, const LedgerPeer& peer, std::uint64_t answered, std::uint64_t written, Begun begun,
                             std::uint64_t begun_until, std::string_view bytes) noexcept {
  LedgerEntry* const entry = fill_entry(fd, peer, answered, written);
  if (entry == nullptr) return nullptr;
  entry->begun_until.store(begun_until, kRelease);
  entry->begun.store(begun, kRelease);
  static_cast<void>(save(*entry, answered, bytes));
  entry->read.store(answered + bytes.size(), kRelease);
  entry->state.store(LedgerState::open, kRelease);
  return entry;
}

// Everything but `state`.
LedgerEntry* Ledger::fill_entry(int fd, const LedgerPeer& peer, std::uint64_t read, std::uint64_t written) noexcept {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return nullptr;
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
  entry.cookie.store(cookie, kRelease);
  entry.read.store(read, kRelease);
  entry.answered.store(read, kRelease);
  entry.dispatched.store(read, kRelease);
  entry.sent.store(written, kRelease);
  entry.sending_until.store(written, kRelease);
  entry.answers_until.store(read, kRelease);
  entry.answers_end.store(written, kRelease);
  entry.answered_end.store(written, kRelease);
  entry.ends_at.store(0, kRelease);
  entry.begun.store(Begun::no, kRelease);
  entry.requests.store(0, kRelease);
  entry.opened_ms.store(monotonic_ms(), kRelease);
  entry.peer = peer;
  return &entry;
}

void Ledger::remove(LedgerEntry& entry) noexcept {
  entry.state.store(LedgerState::free, kRelease);
  discard_saved(entry);
  const std::uint32_t index = index_of(entry);
  if (header_->buffer_owner.load(kRelaxed) == index + 1) header_->buffer_owner.store(0, kRelease);
  free_entries_.push_back(index);
}

std::span<char> Ledger::read_buffer() noexcept { return header_->buffer; }

void Ledger::begin_read(const LedgerEntry* entry) noexcept {
  header_->buffer_owner.store(0, kRelease);
  if (entry == nullptr) return;
  header_->buffer_from.store(entry->read.load(kRelaxed), kRelease);
  header_->reading.store(1, kRelease);
  header_->buffer_owner.store(index_of(*entry) + 1, kRelease);
}

void Ledger::end_read(LedgerEntry& entry, std::size_t size) noexcept {
  entry.read.store(entry.read.load(kRelaxed) + size, kRelease);
  header_->reading.store(0, kRelease);
}

bool Ledger::save(LedgerEntry& entry, std::uint64_t position, std::string_view bytes) noexcept {
  const std::uint32_t saved = entry.saved.load(kRelaxed);
  if (saved == 0) entry.saved_from.store(position, kRelease);
  if (entry.saved_from.load(kRelaxed) + saved != position || saved + bytes.size() > kMaxSaved) {
    discard_saved(entry);
    return false;
  }
  std::uint32_t end = saved;
  while (!bytes.empty()) {
    const std::size_t in_block = end % Block::kBytes;
    if (in_block == 0) {
      const std::uint32_t block = take_block();
      if (block == 0) {
        discard_saved(entry);
        return false;
      }
      const std::uint32_t last = entry.last_block.load(kRelaxed);
      (end == 0 ? entry.first_block : blocks_[last - 1].next).store(block, kRelease);
      entry.last_block.store(block, kRelease);
    }
    const std::size_t size = std::min(bytes.size(), Block::kBytes - in_block);
    std::memcpy(blocks_[entry.last_block.load(kRelaxed) - 1].bytes.data() + in_block, bytes.data(), size);
    bytes.remove_prefix(size);
    end += static_cast<std::uint32_t>(size);
  }
  entry.saved.store(end, kRelease);
  return true;
}

void Ledger::discard_saved(LedgerEntry& entry) noexcept {
  std::uint32_t block = entry.first_block.load(kRelaxed);
  if (block == 0) return;
  entry.saved.store(0, kRelease);
  entry.first_block.store(0, kRelease);
  while (block != 0) {
    free_blocks_.push_back(block);
    block = blocks_[block - 1].next.load(kRelaxed);
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

void Ledger::blame(const LedgerEntry* entry) noexcept {
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

bool Ledger::was_reading(const LedgerEntry& entry) const noexcept {
  return header_->reading.load(kRelaxed) != 0 && header_->buffer_owner.load(kRelaxed) == index_of(entry) + 1;
}

std::uint64_t Ledger::copy_blocks(const LedgerEntry& entry, std::uint64_t from, std::uint64_t until,
                                  std::span<char> out) const noexcept {
  const std::uint64_t begin = entry.saved_from.load(kRelaxed);
  const std::uint64_t saved = std::min<std::uint64_t>(entry.saved.load(kRelaxed), kMaxSaved);
  if (from < begin || from - begin >= saved) return from;
  std::uint64_t skip = from - begin;
  std::uint64_t left = std::min(saved - skip, until - from);
  std::uint64_t copied = 0;
  std::uint32_t block = entry.first_block.load(kRelaxed);
  // kMaxSaved bounds the walk, whatever the chain looks like.
  for (std::uint64_t seen = 0; seen < saved && left > 0; seen += Block::kBytes) {
    if (block == 0 || block > block_count_) break;
    const Block& here = blocks_[block - 1];
    if (skip < Block::kBytes) {
      const std::uint64_t size = std::min<std::uint64_t>(left, Block::kBytes - skip);
      std::memcpy(out.data() + copied, here.bytes.data() + skip, size);
      copied += size;
      left -= size;
      skip = 0;
    } else {
      skip -= Block::kBytes;
    }
    block = here.next.load(kRelaxed);
  }
  return from + copied;
}

bool Ledger::copy_unanswered(const LedgerEntry& entry, std::uint64_t from, std::uint64_t until,
                             std::span<char> out) const noexcept {
  if (from > until || until - from > out.size()) return false;
  const std::uint64_t reached = copy_blocks(entry, from, until, out);
  if (reached == until) return true;
  const std::uint64_t begin = header_->buffer_from.load(kRelaxed);
  if (header_->buffer_owner.load(kRelaxed) != index_of(entry) + 1) return false;
  if (reached < begin || until < begin || until - begin > kReadBuffer) return false;
  std::memcpy(out.data() + (reached - from), header_->buffer.data() + (reached - begin), until - reached);
  return true;
}

}  // namespace pronghorn::worker
