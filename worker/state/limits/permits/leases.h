// Permits of rate limits that the machine has leased from Redis, in shared memory: all its workers draw from them.
//
// A row of the table belongs to one key at a time. Its state is one word (permits, when they expire, generation of the
// row), which changes by compare-and-swap only, so a worker that dies at any point leaves a valid row and loses no
// permit. Each time the row gets another key, its generation changes in state and tag: whoever still has the row as that
// of the former key fails.
//
// One worker at a time asks Redis for more permits of a key; meanwhile the others ask for single ones. If it dies, others
// may ask once its patience is over.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "common/ipc/scoreboard.h"

namespace pronghorn::worker {

// Context: any process that maps the table; one object per worker. Nothing allocates; only the constructor and digest()
//          throw.
class Leases {
 public:
  static constexpr std::uint32_t kMostPermits = (1U << 14) - 1;  // of one row

  // A row as that of one key.
  struct Row {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
  };

  struct Draw {
    enum class Kind {
      none,     // no permits here: ask Redis
      drawn,    // one permit, of `row`
      refused,  // Redis has none, and will not before `reset_ms`
    };
    Kind kind = Kind::none;
    Row row;
    std::uint32_t rest = 0;      // permits that are left, here and, when the row was filled, in Redis
    std::uint64_t reset_ms = 0;  // until there are more
  };

  // The right to ask Redis for permits of a key. Ends with deposit(), refuse() or the object.
  class Fetch {
   public:
    Fetch(Fetch&& other) noexcept
        : table_(std::exchange(other.table_, nullptr)), row_(other.row_), until_(other.until_) {}
    Fetch& operator=(Fetch&&) = delete;
    ~Fetch() { end(); }

    // Adds what Redis has granted: valid until `until_ms`; Redis then had `rest` more, and has further ones at
    // `reset_at_ms`. Adds nothing if the row has another key by now: the permits are lost.
    void deposit(std::uint32_t permits, std::uint64_t until_ms, std::uint32_t rest, std::uint64_t reset_at_ms) noexcept;
    // Redis has none: draws are refused until `until_ms`, unless there are permits here.
    void refuse(std::uint64_t until_ms, std::uint64_t reset_at_ms) noexcept;
    [[nodiscard]] Row row() const noexcept { return row_; }

   private:
    friend class Leases;
    Fetch(LeaseTable& table, Row row, std::uint64_t until) noexcept : table_(&table), row_(row), until_(until) {}
    void end() noexcept;

    LeaseTable* table_;  // null: it has ended
    Row row_;
    std::uint64_t until_;
  };

  // Writes the seed of `table` if it has none yet.
  explicit Leases(LeaseTable& table);

  // What identifies a key here. Depends on the seed, so that nobody outside can make two keys share a row.
  [[nodiscard]] std::uint64_t digest(std::string_view key) const;

  [[nodiscard]] Draw draw(std::uint64_t digest, std::uint64_t now_ms) noexcept;
  // Takes a permit back that was drawn and not used. Does nothing if the row has expired or has another key.
  void give_back(Row row, std::uint64_t now_ms) noexcept;
  // Nothing if another worker asks for this key, or if the rows where the key may be are all in use.
  [[nodiscard]] std::optional<Fetch> begin_fetch(std::uint64_t digest, std::uint64_t now_ms,
                                                 std::chrono::milliseconds patience) noexcept;

 private:
  LeaseTable& table_;
};

}  // namespace pronghorn::worker
