// A latency histogram in shared memory: one writer, any number of readers, no locks.
//
// Log-linear buckets of microseconds: exact below 2^SubBits, then 2^SubBits buckets per doubling, so a percentile is
// at most 1/2^SubBits too high. The last bucket holds everything above about 134 s.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace pronghorn {

template <unsigned SubBits, class Count>
class Histogram {
 public:
  static constexpr unsigned kTopExponent = 27;
  static constexpr std::size_t kBuckets = (kTopExponent - SubBits + 2) << SubBits;

  // Writer only.
  void record(std::uint64_t microseconds) noexcept {
    auto& bucket = buckets_[index(microseconds)];
    bucket.store(static_cast<Count>(bucket.load(std::memory_order_relaxed) + 1), std::memory_order_relaxed);
    if (microseconds > max_.load(std::memory_order_relaxed)) max_.store(microseconds, std::memory_order_relaxed);
  }

  // A sum of histograms, for readers.
  struct Sum {
    std::array<std::uint64_t, kBuckets> counts{};
    std::uint64_t total = 0;
    std::uint64_t max = 0;

    void add(const Histogram& other) noexcept {
      for (std::size_t i = 0; i < kBuckets; ++i) {
        const std::uint64_t count = other.buckets_[i].load(std::memory_order_relaxed);
        counts[i] += count;
        total += count;
      }
      const std::uint64_t other_max = other.max_.load(std::memory_order_relaxed);
      if (other_max > max) max = other_max;
    }
    void add(const Sum& other) noexcept {
      for (std::size_t i = 0; i < kBuckets; ++i) counts[i] += other.counts[i];
      total += other.total;
      if (other.max > max) max = other.max;
    }
    // The upper edge of the bucket that holds the given share (0..1), in microseconds; 0 if nothing was recorded.
    [[nodiscard]] std::uint64_t percentile(double share) const noexcept {
      if (total == 0) return 0;
      auto left = static_cast<std::uint64_t>(share * static_cast<double>(total));
      if (left >= total) left = total - 1;
      for (std::size_t i = 0; i < kBuckets; ++i) {
        if (counts[i] > left) return upper_edge(i) < max ? upper_edge(i) : max;
        left -= counts[i];
      }
      return max;
    }
  };

  [[nodiscard]] static constexpr std::size_t index(std::uint64_t value) noexcept {
    constexpr std::uint64_t kSub = std::uint64_t{1} << SubBits;
    if (value < kSub) return static_cast<std::size_t>(value);
    const auto exponent = static_cast<unsigned>(std::bit_width(value)) - 1;
    if (exponent > kTopExponent) return kBuckets - 1;
    const std::uint64_t sub = (value >> (exponent - SubBits)) & (kSub - 1);
    return ((exponent - SubBits + 1) << SubBits) + static_cast<std::size_t>(sub);
  }
  // The largest value of the bucket.
  [[nodiscard]] static constexpr std::uint64_t upper_edge(std::size_t bucket) noexcept {
    constexpr std::size_t kSub = std::size_t{1} << SubBits;
    if (bucket < kSub) return bucket;
    const auto exponent = static_cast<unsigned>(bucket >> SubBits) + SubBits - 1;
    const std::uint64_t sub = bucket & (kSub - 1);
    return (((std::uint64_t{1} << SubBits) + sub + 1) << (exponent - SubBits)) - 1;
  }

 private:
  std::array<std::atomic<Count>, kBuckets> buckets_;
  std::atomic<std::uint64_t> max_;
};

}  // namespace pronghorn
