#include "worker/state/jobs/queue/queue_keys.h"

#include <algorithm>
#include <cstddef>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kLongestName = 64;
constexpr std::size_t kIdDigits = 32;

// In the order of KEYS; see kPrelude in job_scripts.cpp.
constexpr std::array<std::string_view, 12> kParts{"wait",    "later", "run",    "owners", "jobs",   "data",
                                                  "results", "done",  "failed", "dead",   "unique", "totals"};

bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool is_digit(char c) noexcept { return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9'); }

}  // namespace

bool is_job_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, is_name_character);
}

std::string_view name_in_id(std::string_view id) noexcept {
  const std::size_t dot = id.find('.');
  if (dot == std::string_view::npos || id.size() - dot - 1 != kIdDigits) return {};
  if (!is_job_name(id.substr(0, dot)) || !std::ranges::all_of(id.substr(dot + 1), is_digit)) return {};
  return id.substr(0, dot);
}

QueueKeys::QueueKeys(std::string_view prefix, std::string_view name) {
  const std::string base = std::string(prefix) + ":j:{" + std::string(prefix) + ":" + std::string(name) + "}:";
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    keys_[i] = base + std::string(kParts[i]);
    views_[i] = keys_[i];
  }
}

std::string job_names_key(std::string_view prefix) { return std::string(prefix) + ":j:names"; }

std::string jobs_channel(std::string_view prefix) { return std::string(prefix) + ":j:waiting"; }

}  // namespace pronghorn::worker
