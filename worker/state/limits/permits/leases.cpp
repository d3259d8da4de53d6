#include "worker/state/limits/permits/leases.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "worker/crypto/random_hex.h"
#include "worker/state/keys/digest.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint32_t kWays = 8;  // rows where a key may be
constexpr std::uint32_t kSets = kLeaseRows / kWays;
constexpr unsigned kGenerationBits = 10;
constexpr unsigned kPermitBits = 14;
constexpr unsigned kUntilBits = 39;  // of milliseconds: 17 years
constexpr std::uint32_t kGenerations = 1U << kGenerationBits;

// Generation, whether requests are refused, permits, and when either expires.
struct State {
  std::uint32_t generation = 0;
  bool refusing = false;
  std::uint32_t permits = 0;
  std::uint64_t until_ms = 0;

  [[nodiscard]] bool expired(std::uint64_t now_ms) const noexcept { return until_ms <= now_ms; }
};

std::uint64_t pack(const State& state) noexcept {
  const std::uint64_t until = std::min(state.until_ms, (std::uint64_t{1} << kUntilBits) - 1);
  return (std::uint64_t{state.generation} << (1 + kPermitBits + kUntilBits)) |
         (std::uint64_t{state.refusing} << (kPermitBits + kUntilBits)) | (std::uint64_t{state.permits} << kUntilBits) |
         until;
}

State unpack(std::uint64_t word) noexcept {
  return {.generation = static_cast<std::uint32_t>(word >> (1 + kPermitBits + kUntilBits)),
          .refusing = ((word >> (kPermitBits + kUntilBits)) & 1) != 0,
          .permits = static_cast<std::uint32_t>(word >> kUntilBits) & Leases::kMostPermits,
          .until_ms = word & ((std::uint64_t{1} << kUntilBits) - 1)};
}

// The upper bits of the digest with the generation; its lower bits choose the set.
std::uint64_t row_tag(std::uint64_t digest, std::uint32_t generation) noexcept {
  return (digest & ~std::uint64_t{kGenerations - 1}) | generation;
}
bool is_of(std::uint64_t tag, std::uint64_t digest) noexcept { return (tag ^ digest) < kGenerations; }
std::uint32_t generation_of(std::uint64_t tag) noexcept { return static_cast<std::uint32_t>(tag % kGenerations); }
static_assert(kSets <= kGenerations, "the tag holds all bits of the digest but those that choose the set");

std::uint32_t first_row(std::uint64_t digest) noexcept { return static_cast<std::uint32_t>(digest % kSets) * kWays; }

std::uint32_t reset_seconds(std::uint64_t at_ms) noexcept { return static_cast<std::uint32_t>((at_ms + 999) / 1000); }

std::uint64_t random_word() {
  std::uint64_t word = 0;
  const std::string hex = random_hex();
  std::from_chars(hex.data(), hex.data() + 16, word, 16);
  return word | 1;  // 0 means that there is none
}

}  // namespace

Leases::Leases(LeaseTable& table) : table_(table) {
  for (auto& word : table_.seed) {
    std::uint64_t none = 0;
    word.compare_exchange_strong(none, random_word());
  }
}

std::uint64_t Leases::digest(std::string_view key) const {
  std::string text = std::to_string(table_.seed[0].load()) + ":" + std::to_string(table_.seed[1].load()) + ":";
  text.append(key);
  const std::string hex = sha256_hex(text);
  std::uint64_t digest = 0;
  std::from_chars(hex.data(), hex.data() + 16, digest, 16);
  return digest | (std::uint64_t{1} << 63);  // no tag of a zeroed row
}

Leases::Draw Leases::draw(std::uint64_t digest, std::uint64_t now_ms) noexcept {
  const std::uint32_t first = first_row(digest);
  for (std::uint32_t index = first; index < first + kWays; ++index) {
    LeaseRow& row = table_.rows[index];
    const std::uint64_t tag = row.tag.load(std::memory_order_acquire);
    if (!is_of(tag, digest)) continue;
    std::uint64_t word = row.state.load(std::memory_order_acquire);
    for (;;) {
      State state = unpack(word);
      if (state.generation != generation_of(tag) || state.expired(now_ms)) break;
      const std::uint64_t reset_at = std::uint64_t{row.reset_s.load(std::memory_order_relaxed)} * 1000;
      Draw draw{.row = {index, state.generation}, .reset_ms = reset_at > now_ms ? reset_at - now_ms : 0};
      if (state.refusing) {
        draw.kind = Draw::Kind::refused;
        return draw;
      }
      if (state.permits == 0) return {};
      --state.permits;
      if (!row.state.compare_exchange_weak(word, pack(state), std::memory_order_acq_rel)) continue;
      draw.kind = Draw::Kind::drawn;
      draw.rest = state.permits + row.rest.load(std::memory_order_relaxed);
      return draw;
    }
  }
  return {};
}

void Leases::give_back(Row at, std::uint64_t now_ms) noexcept {
  LeaseRow& row = table_.rows[at.index];
  std::uint64_t word = row.state.load(std::memory_order_acquire);
  for (;;) {
    State state = unpack(word);
    if (state.generation != at.generation || state.expired(now_ms) || state.refusing || state.permits == kMostPermits) {
      return;
    }
    ++state.permits;
    if (row.state.compare_exchange_weak(word, pack(state), std::memory_order_acq_rel)) return;
  }
}

std::optional<Leases::Fetch> Leases::begin_fetch(std::uint64_t digest, std::uint64_t now_ms,
                                                 std::chrono::milliseconds patience) noexcept {
  const std::uint64_t until = now_ms + static_cast<std::uint64_t>(patience.count());
  const std::uint32_t first = first_row(digest);
  for (std::uint32_t index = first; index < first + kWays; ++index) {
    LeaseRow& row = table_.rows[index];
    const std::uint64_t tag = row.tag.load(std::memory_order_acquire);
    if (!is_of(tag, digest)) continue;
    std::uint64_t fetching = row.fetching_until.load();
    if (fetching > now_ms || !row.fetching_until.compare_exchange_strong(fetching, until)) return std::nullopt;
    Fetch fetch(table_, {index, generation_of(tag)}, until);
    if (row.tag.load() != tag || unpack(row.state.load()).generation != generation_of(tag)) return std::nullopt;
    return fetch;
  }
  for (std::uint32_t index = first; index < first + kWays; ++index) {
    LeaseRow& row = table_.rows[index];
    std::uint64_t tag = row.tag.load(std::memory_order_acquire);
    std::uint64_t word = row.state.load(std::memory_order_acquire);
    std::uint64_t fetching = row.fetching_until.load();
    const State state = unpack(word);
    if (fetching > now_ms || (!state.expired(now_ms) && (state.refusing || state.permits > 0))) continue;
    if (!row.fetching_until.compare_exchange_strong(fetching, until)) return std::nullopt;
    const std::uint32_t generation = (state.generation + 1) % kGenerations;
    Fetch fetch(table_, {index, generation}, until);
    // The state first: from here on, nobody can draw from the row as that of its former key.
    if (!row.state.compare_exchange_strong(word, pack({.generation = generation})) ||
        !row.tag.compare_exchange_strong(tag, row_tag(digest, generation))) {
      return std::nullopt;
    }
    return fetch;
  }
  return std::nullopt;
}

void Leases::Fetch::deposit(std::uint32_t permits, std::uint64_t until_ms, std::uint32_t rest,
                            std::uint64_t reset_at_ms) noexcept {
  LeaseRow& row = table_->rows[row_.index];
  row.rest.store(rest, std::memory_order_relaxed);
  row.reset_s.store(reset_seconds(reset_at_ms), std::memory_order_relaxed);
  std::uint64_t word = row.state.load(std::memory_order_acquire);
  for (;;) {
    const State before = unpack(word);
    if (before.generation != row_.generation) break;
    // What was given back meanwhile stays. Its time may end a little later than before.
    const std::uint32_t left = before.refusing || before.expired(monotonic_ms()) ? 0 : before.permits;
    const State after{
        .generation = row_.generation, .permits = std::min(left + permits, kMostPermits), .until_ms = until_ms};
    if (row.state.compare_exchange_weak(word, pack(after), std::memory_order_acq_rel)) break;
  }
  end();
}

void Leases::Fetch::refuse(std::uint64_t until_ms, std::uint64_t reset_at_ms) noexcept {
  LeaseRow& row = table_->rows[row_.index];
  row.rest.store(0, std::memory_order_relaxed);
  row.reset_s.store(reset_seconds(reset_at_ms), std::memory_order_relaxed);
  std::uint64_t word = row.state.load(std::memory_order_acquire);
  for (;;) {
    const State before = unpack(word);
    if (before.generation != row_.generation || (before.permits > 0 && !before.expired(monotonic_ms()))) break;
    const State after{.generation = row_.generation, .refusing = true, .until_ms = until_ms};
    if (row.state.compare_exchange_weak(word, pack(after), std::memory_order_acq_rel)) break;
  }
  end();
}

void Leases::Fetch::end() noexcept {
  if (table_ == nullptr) return;
  std::uint64_t mine = until_;
  std::exchange(table_, nullptr)->rows[row_.index].fetching_until.compare_exchange_strong(mine, 0);
}

}  // namespace pronghorn::worker
