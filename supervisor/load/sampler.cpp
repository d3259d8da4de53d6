#include "supervisor/load/sampler.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "common/fd.h"

namespace pronghorn::supervisor {
namespace {

std::string read_proc(int pid, const char* file) {
  const Fd fd(::open(fmt::format("/proc/{}/{}", pid, file).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  std::array<char, 1024> text{};
  const ssize_t size = ::read(fd.get(), text.data(), text.size() - 1);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

// The mean of what was recorded between two sums, by the upper edges of the buckets.
double mean_between(const LatencyHistogram::Sum& before, const LatencyHistogram::Sum& after) noexcept {
  double total = 0;
  double count = 0;
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    const auto recorded = static_cast<double>(after.counts[i] - before.counts[i]);
    total += recorded * static_cast<double>(LatencyHistogram::upper_edge(i));
    count += recorded;
  }
  return count > 0 ? total / count : 0;
}

}  // namespace

std::uint64_t resident_bytes(int pid) {
  unsigned long long size = 0;
  unsigned long long resident = 0;
  if (std::sscanf(read_proc(pid, "statm").c_str(), "%llu %llu", &size, &resident) != 2) return 0;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t proportional_bytes(int pid) {
  const std::string text = read_proc(pid, "smaps_rollup");
  const std::size_t line = text.find("\nPss:");
  unsigned long long kib = 0;
  if (line == std::string::npos || std::sscanf(text.c_str() + line, "\nPss: %llu kB", &kib) != 1) {
    return resident_bytes(pid);
  }
  return kib * 1024;
}

std::uint64_t cpu_ticks_of(const char* stat) noexcept {
  // The name of the program, in parentheses, can contain anything.
  const char* end_of_name = std::strrchr(stat, ')');
  unsigned long long user = 0;
  unsigned long long system = 0;
  if (end_of_name == nullptr ||
      std::sscanf(end_of_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2) {
    return 0;
  }
  return user + system;
}

void Sampler::sample(const Slots& slots, std::uint64_t now) {
  utilisations_.clear();
  std::erase_if(last_, [&slots](const auto& entry) { return slots.find(entry.first) == nullptr; });
  const std::uint32_t used = std::min(board_.server().slots.load(), kMaxWorkers);
  for (std::uint32_t slot = 0; slot < used; ++slot) sample_slot(slot, slots.current(slot), now);
  for (std::uint32_t slot = kFirstJobSlot; slot < kMaxSlots && slots.wanted(slot); ++slot) {
    sample_slot(slot, slots.current(slot), now);
  }
}

void Sampler::sample_slot(std::uint32_t slot, const WorkerEntry* worker, std::uint64_t now) {
  SlotRow& out = board_.slot(slot);
  // All rows: while a worker is replaced, two of them answer.
  std::uint64_t requests = 0;
  for (std::uint32_t row = 0; row < kRowsPerSlot; ++row) requests += board_.worker(slot, row)[Count::requests].load();
  auto& [requests_at, last_requests] = last_requests_[slot];
  if (requests_at != 0 && now > requests_at) {
    out.requests_per_s_x100.store((requests - last_requests) * 100'000 / (now - requests_at));
  }
  requests_at = now;
  last_requests = requests;
  if (worker == nullptr) {
    out.rss_bytes.store(0);
    out.cpu_percent_x100.store(0);
    out.loop_utilisation_x10000.store(0);
    out.mean_latency_us.store(0);
    return;
  }

  out.rss_bytes.store(resident_bytes(worker->pid));
  const WorkerRow& row = board_.worker(slot, worker->row);
  if (worker->state == WorkerState::starting) return;  // it may not have taken the row over yet
  Last fresh;
  fresh.at = now;
  fresh.cpu_ticks = cpu_ticks_of(read_proc(worker->pid, "stat").c_str());
  fresh.idle_us = row[Count::loop_idle].load();
  fresh.latency.add(row.latency);
  const auto before = last_.find(worker->pid);
  if (before != last_.end() && now > before->second.at) {
    const Last& last = before->second;
    const auto elapsed_ms = static_cast<double>(now - last.at);
    const auto ticks = static_cast<double>(fresh.cpu_ticks - std::min(last.cpu_ticks, fresh.cpu_ticks));
    const double cpu_ms = ticks * 1e3 / static_cast<double>(::sysconf(_SC_CLK_TCK));
    out.cpu_percent_x100.store(static_cast<std::uint64_t>(cpu_ms * 10'000 / elapsed_ms));
    const double idle = static_cast<double>(fresh.idle_us - last.idle_us) / (elapsed_ms * 1e3);
    const double busy = std::clamp(1.0 - idle, 0.0, 1.0);
    out.loop_utilisation_x10000.store(static_cast<std::uint64_t>(busy * 10'000));
    out.mean_latency_us.store(static_cast<std::uint64_t>(mean_between(last.latency, fresh.latency)));
    if (worker->state == WorkerState::ready && is_worker_slot(slot)) utilisations_.push_back(busy);
  }
  last_[worker->pid] = fresh;
}

}  // namespace pronghorn::supervisor
