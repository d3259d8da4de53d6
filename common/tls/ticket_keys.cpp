#include "common/tls/ticket_keys.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace pronghorn {
namespace {

constexpr std::uint64_t kMemoryMark = 0x31'6b'63'74'6e'6f'72'70;  // "prontck1"
// The newest, and those of the time that keys are kept; one more, so that the slot which is written is never needed.
constexpr std::size_t kSlots = 1 + (kTicketKeyKept / kTicketKeyIssues) + 1;
constexpr std::size_t kWords = (TicketKey::kNameSize + 32 + 32) / sizeof(std::uint64_t);
constexpr int kReadAttempts = 100;  // of a slot that is being written

using Word = std::atomic<std::uint64_t>;
using Words = std::array<std::uint64_t, kWords>;
static_assert(Word::is_always_lock_free);

void fill_randomly(void* bytes, std::size_t size) {
  // Up to 256 bytes are never cut short by a signal (getrandom(2)).
  if (::getrandom(bytes, size, 0) != static_cast<ssize_t>(size)) {
    throw std::system_error(errno, std::generic_category(), "cannot make a key for TLS session tickets");
  }
}

TicketKey random_key() {
  TicketKey key;
  fill_randomly(key.name.data(), key.name.size());
  fill_randomly(key.aes.data(), key.aes.size());
  fill_randomly(key.hmac.data(), key.hmac.size());
  return key;
}

void pack(const TicketKey& key, Words& words) noexcept {
  auto* const bytes = reinterpret_cast<std::uint8_t*>(words.data());
  std::memcpy(bytes, key.name.data(), key.name.size());
  std::memcpy(bytes + key.name.size(), key.aes.data(), key.aes.size());
  std::memcpy(bytes + key.name.size() + key.aes.size(), key.hmac.data(), key.hmac.size());
}

void unpack(const Words& words, TicketKey& key) noexcept {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(words.data());
  std::memcpy(key.name.data(), bytes, key.name.size());
  std::memcpy(key.aes.data(), bytes + key.name.size(), key.aes.size());
  std::memcpy(key.hmac.data(), bytes + key.name.size() + key.aes.size(), key.hmac.size());
}

}  // namespace

// A sequence lock: odd while the slot is written. The words are atomic, so a reader that meets the writer reads
// nonsense, notices, and tries again.
struct TicketKeys::Slot {
  Word sequence;
  Word made;  // seconds + 1; 0: the slot is empty
  std::array<Word, kWords> key;
};

struct TicketKeys::Memory {
  Word mark;
  Word newest;  // index of a slot
  std::array<Slot, kSlots> slots;
};

TicketKey::~TicketKey() { OPENSSL_cleanse(this, sizeof *this); }

TicketKeys::Time TicketKeys::now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return Time(time.tv_sec);
}

TicketKeys::Memory* TicketKeys::map(int fd, bool writable) {
  const int access = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const memory = ::mmap(nullptr, sizeof(Memory), access, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "cannot map the keys of TLS session tickets");
  }
  // Neither in a core dump, nor in a child.
  static_cast<void>(::madvise(memory, sizeof(Memory), MADV_DONTDUMP));
  static_cast<void>(::madvise(memory, sizeof(Memory), MADV_DONTFORK));
  return static_cast<Memory*>(memory);
}

TicketKeys TicketKeys::create(Time now) {
  const int fd = ::memfd_create("pronghorn-ticket-keys", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;  // a smaller file would kill its readers
  if (fd < 0 || ::ftruncate(fd, sizeof(Memory)) != 0 || ::fcntl(fd, F_ADD_SEALS, kSeals) != 0) {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    throw std::system_error(error, std::generic_category(), "cannot create the keys of TLS session tickets");
  }
  TicketKeys keys(fd, nullptr);
  keys.memory_ = map(fd, true);
  keys.memory_->mark.store(kMemoryMark);
  static_cast<void>(keys.rotate(now));
  return keys;
}

TicketKeys TicketKeys::adopt(int fd) {
  TicketKeys keys(fd, nullptr);
  struct stat facts{};
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(fd, &facts) != 0 || facts.st_size != sizeof(Memory)) {
    throw std::runtime_error("the keys of TLS session tickets are of another build");
  }
  keys.memory_ = map(fd, true);
  if (keys.memory_->mark.load() != kMemoryMark) {
    throw std::runtime_error("the keys of TLS session tickets are of another build");
  }
  return keys;
}

TicketKeys TicketKeys::attach(int fd) {
  TicketKeys keys = adopt(fd);
  Memory* const reading = map(fd, false);
  ::munmap(std::exchange(keys.memory_, reading), sizeof(Memory));
  ::close(std::exchange(keys.fd_, -1));
  return keys;
}

TicketKeys::TicketKeys(TicketKeys&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), memory_(std::exchange(other.memory_, nullptr)) {}

TicketKeys& TicketKeys::operator=(TicketKeys&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(memory_, other.memory_);
  return *this;
}

TicketKeys::~TicketKeys() {
  if (memory_ != nullptr) ::munmap(memory_, sizeof(Memory));
  if (fd_ >= 0) ::close(fd_);
}

bool TicketKeys::rotate(Time now) {
  const auto newest = static_cast<std::size_t>(memory_->newest.load()) % kSlots;
  const auto latest = get(memory_->slots[newest]);
  // A time that is not yet is of memory that is damaged, or of a machine before it was restored.
  const bool due = !latest || now - latest->second >= kTicketKeyIssues || latest->second > now;
  if (due) {
    const TicketKey key = random_key();
    const std::size_t next = (newest + 1) % kSlots;
    put(memory_->slots[next], &key, now);
    memory_->newest.store(next);
  }
  for (Slot& slot : memory_->slots) {
    const std::uint64_t made = slot.made.load();
    const bool expired = made != 0 && now - Time(made - 1) >= kTicketKeyIssues + kTicketKeyKept;
    if (expired) put(slot, nullptr, Time(0));
  }
  return due;
}

void TicketKeys::put(Slot& slot, const TicketKey* key, Time made) {
  Words words{};
  if (key != nullptr) pack(*key, words);
  const std::uint64_t before = slot.sequence.load() | 1;  // odd already: an earlier image ended while it wrote
  slot.sequence.store(before);
  slot.made.store(key != nullptr ? static_cast<std::uint64_t>(made.count()) + 1 : 0);
  for (std::size_t i = 0; i < kWords; ++i) slot.key[i].store(words[i]);
  slot.sequence.store(before + 1);
  OPENSSL_cleanse(words.data(), sizeof words);
}

std::optional<std::pair<TicketKey, TicketKeys::Time>> TicketKeys::get(const Slot& slot) noexcept {
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    const std::uint64_t sequence = slot.sequence.load();
    if (sequence % 2 != 0) continue;
    const std::uint64_t made = slot.made.load();
    Words words{};
    for (std::size_t i = 0; i < kWords; ++i) words[i] = slot.key[i].load();
    if (slot.sequence.load() != sequence) continue;
    std::optional<std::pair<TicketKey, Time>> found;
    if (made != 0) {
      found.emplace();
      unpack(words, found->first);
      found->second = Time(made - 1);
    }
    OPENSSL_cleanse(words.data(), sizeof words);
    return found;
  }
  return std::nullopt;
}

std::optional<TicketKey> TicketKeys::current() const noexcept {
  if (memory_ == nullptr) return std::nullopt;
  const auto found = get(memory_->slots[static_cast<std::size_t>(memory_->newest.load()) % kSlots]);
  if (!found) return std::nullopt;
  return found->first;
}

std::optional<TicketKeys::Found> TicketKeys::find(std::span<const std::uint8_t> name) const noexcept {
  if (memory_ == nullptr) return std::nullopt;
  const auto newest = static_cast<std::size_t>(memory_->newest.load()) % kSlots;
  for (std::size_t back = 0; back < kSlots; ++back) {
    const auto found = get(memory_->slots[(newest + kSlots - back) % kSlots]);
    if (found && std::ranges::equal(found->first.name, name)) return Found{found->first, back != 0};
  }
  return std::nullopt;
}

}  // namespace pronghorn
