#include "supervisor/rollout/canary.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {
namespace {

constexpr double kPercentagePoint = 0.01;
constexpr double kLatencyFactor = 1.5;
constexpr std::uint64_t kLatencyStepUs = 10'000;
constexpr double kHungShare = 0.10;
constexpr std::uint64_t kSilentMs = 1'000;
constexpr std::uint64_t kLateMs = 1'000;  // between looks: the supervisor could not run, so workers may not have either

double share(std::uint64_t part, std::uint64_t whole) noexcept {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::uint64_t stuck_ms(const WorkerRow& row, std::uint64_t now) noexcept {
  return static_cast<std::uint64_t>(stuck_seconds(row, now) * 1e3);
}

double in_ms(std::uint64_t microseconds) noexcept { return static_cast<double>(microseconds) / 1e3; }

// Rows are read while workers write them, so a counter can seem to have gone back.
std::uint64_t difference(std::uint64_t after, std::uint64_t before) noexcept {
  return after > before ? after - before : 0;
}

std::string judge_errors(const Figures& canary, const Figures& others) {
  const double failed = share(canary.failed, canary.requests);
  const double usual = others.requests < kEnoughForErrors ? 0 : share(others.failed, others.requests);
  if (canary.requests < kEnoughForErrors || failed <= usual + kPercentagePoint || failed <= 2 * usual) return {};
  return fmt::format("{:.1f} % of {} requests failed ({}), {:.1f} % of the others'", failed * 100, canary.requests,
                     canary.cut == 0 ? "5xx" : "5xx or cut off", usual * 100);
}

double patience_ms(const Figures& others) { return kLatencyFactor * in_ms(others.latency.percentile(0.99)); }

std::string judge_stuck(const Figures& canary, const Figures& others) {
  if (canary.stuck_ms == 0 || others.stuck_ms != 0) return {};
  if (static_cast<double>(canary.stuck_ms) <= patience_ms(others)) return {};
  return fmt::format("its event loop has been blocked for {:.1f} s", static_cast<double>(canary.stuck_ms) / 1e3);
}

std::string judge_blocked(const Figures& canary, const Figures& others) {
  if (canary.stalls < kEnoughStalls) return {};
  if (share(canary.stalls, canary.requests) <= kHungShare + 2 * share(others.stalls, others.requests)) return {};
  return fmt::format("its event loop was blocked {} times by {} requests, the others' {} times by {}", canary.stalls,
                     canary.requests, others.stalls, others.requests);
}

std::string judge_hung(const Figures& canary, const Figures& others) {
  const std::uint64_t all = canary.requests + canary.hung;
  const double usual = share(others.hung, others.requests + others.hung);
  if (all >= kEnoughForErrors && share(canary.hung, all) > kHungShare + 2 * usual) {
    return fmt::format("{} of {} requests have not been answered", canary.hung, all);
  }
  if (canary.silent_ms < kSilentMs || static_cast<double>(canary.silent_ms) <= patience_ms(others)) return {};
  if (others.silent_ms >= kSilentMs) return {};
  return fmt::format("it has answered nothing for {:.1f} s, with {} in flight",
                     static_cast<double>(canary.silent_ms) / 1e3, counted(canary.hung, "request"));
}

std::string judge_latency(const Figures& canary, const Figures& others) {
  if (canary.latency.total < kEnoughForLatency || others.latency.total < kEnoughForLatency) return {};
  const std::uint64_t slow = canary.latency.percentile(0.99);
  const std::uint64_t normal = others.latency.percentile(0.99);
  if (slow <= normal + kLatencyStepUs || static_cast<double>(slow) <= kLatencyFactor * static_cast<double>(normal)) {
    return {};
  }
  return fmt::format("the p99 of {} requests is {:.1f} ms, the others' is {:.1f} ms", canary.latency.total, in_ms(slow),
                     in_ms(normal));
}

}  // namespace

void Figures::add(const WorkerRow& row) noexcept {
  const std::uint64_t cut_here = row[Count::lost_cut].load();  // those do not count as answered
  cut += cut_here;
  failed += row[Count::responses_5xx].load() + cut_here;
  requests += row[Count::requests].load() + cut_here;
  stalls += row[Count::stalls].load();
  latency.add(row.latency);
}

Figures Figures::since(const Figures& before) const noexcept {
  Figures out;
  out.requests = difference(requests, before.requests);
  out.failed = difference(failed, before.failed);
  out.cut = difference(cut, before.cut);
  out.stalls = difference(stalls, before.stalls);
  out.latency.max = latency.max;
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    out.latency.counts[i] = difference(latency.counts[i], before.latency.counts[i]);
    out.latency.total += out.latency.counts[i];
  }
  return out;
}

std::string canary_verdict(const Figures& canary, const Figures& others) {
  for (const auto judge : {judge_errors, judge_stuck, judge_hung, judge_blocked, judge_latency}) {
    if (std::string worse = judge(canary, others); !worse.empty()) return worse;
  }
  return {};
}

bool fails_badly(const Figures& canary) noexcept {
  return canary.stuck_ms != 0 || (canary.requests >= kEnoughForErrors && canary.failed * 2 >= canary.requests);
}

// --- Watching -------------------------------------------------------------------------------------------------------

void CanaryWatch::Progress::look(std::uint64_t requests, std::uint64_t in_flight, std::uint64_t now) {
  if (in_flight == 0 || requests != requests_ || silent_since_ == 0) silent_since_ = now;
  requests_ = requests;
  now_ = now;
  samples_.push_back({now, in_flight});
  while (samples_.size() > 2 && now - samples_[1].at >= kSilentMs) samples_.pop_front();
}

void CanaryWatch::Progress::fill(Figures& figures) const noexcept {
  if (samples_.empty() || now_ - samples_.front().at < kSilentMs) return;
  figures.hung = std::ranges::min_element(samples_, {}, &Sample::in_flight)->in_flight;
  figures.silent_ms = now_ - silent_since_;
}

CanaryWatch::CanaryWatch(const Scoreboard& board, CanaryPlace canary, std::uint32_t slots, Figures earlier)
    : board_(board), place_(canary), slots_(slots), earlier_(std::move(earlier)) {
  canary_before_.add(board_.worker(place_.slot, place_.row));
  others_before_ = sum_others();
}

void CanaryWatch::look(std::uint64_t now) {
  const WorkerRow& row = board_.worker(place_.slot, place_.row);
  canary_progress_.look(row[Count::requests].load(), row[Count::in_flight].load(), now);
  others_progress_.look(sum_others().requests, others_in_flight(), now);
  const bool late = now - std::exchange(last_look_ms_, now) > kLateMs;
  canary_stuck_ms_ = late ? 0 : stuck_ms(row, now);
  others_stuck_ms_ = late ? 0 : others_stuck_ms(now);
}

Figures CanaryWatch::canary() const noexcept {
  Figures now;
  now.add(board_.worker(place_.slot, place_.row));
  Figures figures = now.since(canary_before_);
  canary_progress_.fill(figures);
  figures.stuck_ms = canary_stuck_ms_;
  return figures;
}

Figures CanaryWatch::others() const noexcept {
  if (slots_ <= 1) return earlier_;
  Figures figures = sum_others().since(others_before_);
  others_progress_.fill(figures);
  figures.stuck_ms = others_stuck_ms_;
  return figures;
}

template <class Function>
void CanaryWatch::for_each_other(Function function) const {
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    if (slot == place_.slot) continue;
    for (std::uint32_t row = 0; row < kRowsPerSlot; ++row) function(board_.worker(slot, row));
  }
}

Figures CanaryWatch::sum_others() const noexcept {
  Figures sum;
  for_each_other([&sum](const WorkerRow& row) { sum.add(row); });
  return sum;
}

std::uint64_t CanaryWatch::others_in_flight() const noexcept {
  std::uint64_t sum = 0;
  for_each_other([&sum](const WorkerRow& row) { sum += row[Count::in_flight].load(); });
  return sum;
}

// Of the one that turned last; 0: there is no other, or it turns.
std::uint64_t CanaryWatch::others_stuck_ms(std::uint64_t now) const noexcept {
  std::uint64_t least = UINT64_MAX;
  for_each_other([&least, now](const WorkerRow& row) {
    const bool serves = row.pid.load() != 0 && row.phase.load() == WorkerPhase::ready;
    if (serves) least = std::min(least, stuck_ms(row, now));
  });
  return least == UINT64_MAX ? 0 : least;
}

Figures figures_of_slot(const Scoreboard& board, std::uint32_t slot) noexcept {
  Figures sum;
  for (std::uint32_t row = 0; row < kRowsPerSlot; ++row) sum.add(board.worker(slot, row));
  return sum;
}

}  // namespace pronghorn::supervisor
