#include "worker/exchange/correlation.h"

#include <algorithm>
#include <cstring>

#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

bool is_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) noexcept { return text.find_first_not_of('0') == std::string_view::npos; }

// A bijection whose output looks random (SplitMix64): unique seeds give unique ids.
std::uint64_t mix(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

void write_hex(char* out, std::uint64_t value) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  if (value == 0) value = 1;  // an id that is all zero is invalid
  for (int i = 15; i >= 0; --i, value >>= 4) out[i] = kDigits[value & 15];
}

// The second digit of the flags: those of the versions so far, sampled and random. The others must be sent as zero.
char kept_flags(std::string_view flags) noexcept { return static_cast<char>('0' + (hex_digit(flags[1]) & 3)); }

}  // namespace

bool is_request_id(std::string_view id) noexcept {
  constexpr std::string_view kMarks = "._~+/=:@-";
  return !id.empty() && id.size() <= kMaxClientId && std::all_of(id.begin(), id.end(), [kMarks](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

std::optional<TraceContext> parse_traceparent(std::string_view field) noexcept {
  if (field.size() < kTraceparent) return std::nullopt;
  const std::string_view version = field.substr(0, 2);
  const std::string_view trace = field.substr(3, kTraceId);
  const std::string_view parent = field.substr(36, 16);
  const std::string_view flags = field.substr(53, 2);
  if (field[2] != '-' || field[35] != '-' || field[52] != '-' || !is_hex(version) || version == "ff")
    return std::nullopt;
  const bool right_size = field.size() == kTraceparent || (version != "00" && field[kTraceparent] == '-');
  if (!right_size || !is_hex(trace) || is_zero(trace) || !is_hex(parent) || is_zero(parent) || !is_hex(flags)) {
    return std::nullopt;
  }
  return TraceContext{trace, flags};
}

void write_traceparent(char (&text)[kTraceparent], const std::optional<TraceContext>& caller, std::uint64_t seed_high,
                       std::uint64_t seed_low) noexcept {
  std::memcpy(text, "00-", 3);
  if (caller) {
    std::memcpy(text + 3, caller->trace_id.data(), kTraceId);
  } else {
    write_hex(text + 3, seed_high);
    write_hex(text + 19, mix(seed_low));
  }
  text[35] = '-';
  write_hex(text + 36, mix(seed_high ^ mix(seed_low)));
  text[52] = '-';
  text[53] = '0';
  text[54] = caller ? kept_flags(caller->flags) : '0';
}

}  // namespace pronghorn::worker
