#include "worker/state/redis/slots/command_keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "worker/fields/text.h"
#include "worker/state/redis/slots/key_slot.h"

namespace pronghorn::worker {
namespace {

// How a command's keys are found. `first` is the position of the first one.
enum class Rule : std::uint8_t {
  none,         // no keys
  one,          // one key
  fixed,        // `last` keys, each `step` behind the one before
  all,          // every `step`-th word from `first` on; `last` words at the end are no keys
  counted,      // the word at `last` says how many keys follow from `first` on
  and_counted,  // the same, and one more key: the word at 1
  streams,      // the first half of what follows the word STREAMS
  subcommand,   // `one`, but only with a subcommand that has a key (those without are rare: HELP)
};

struct Entry {
  std::string_view name;
  Rule rule;
  std::uint8_t first = 1;
  std::uint8_t step = 1;
  std::uint8_t last = 0;
};

// Every command whose keys are not just the word behind its name; sorted.
constexpr std::array kCommands{
    Entry{"ACL", Rule::none},
    Entry{"ASKING", Rule::none},
    Entry{"AUTH", Rule::none},
    Entry{"BGREWRITEAOF", Rule::none},
    Entry{"BGSAVE", Rule::none},
    Entry{"BITOP", Rule::all, 2},
    Entry{"BLMOVE", Rule::fixed, 1, 1, 2},
    Entry{"BLMPOP", Rule::counted, 3, 1, 2},
    Entry{"BLPOP", Rule::all, 1, 1, 1},
    Entry{"BRPOP", Rule::all, 1, 1, 1},
    Entry{"BRPOPLPUSH", Rule::fixed, 1, 1, 2},
    Entry{"BZMPOP", Rule::counted, 3, 1, 2},
    Entry{"BZPOPMAX", Rule::all, 1, 1, 1},
    Entry{"BZPOPMIN", Rule::all, 1, 1, 1},
    Entry{"CLIENT", Rule::none},
    Entry{"CLUSTER", Rule::none},
    Entry{"COMMAND", Rule::none},
    Entry{"CONFIG", Rule::none},
    Entry{"COPY", Rule::fixed, 1, 1, 2},
    Entry{"DBSIZE", Rule::none},
    Entry{"DEBUG", Rule::none},
    Entry{"DEL", Rule::all},
    Entry{"DISCARD", Rule::none},
    Entry{"ECHO", Rule::none},
    Entry{"EVAL", Rule::counted, 3, 1, 2},
    Entry{"EVALSHA", Rule::counted, 3, 1, 2},
    Entry{"EVALSHA_RO", Rule::counted, 3, 1, 2},
    Entry{"EVAL_RO", Rule::counted, 3, 1, 2},
    Entry{"EXEC", Rule::none},
    Entry{"EXISTS", Rule::all},
    Entry{"FAILOVER", Rule::none},
    Entry{"FCALL", Rule::counted, 3, 1, 2},
    Entry{"FCALL_RO", Rule::counted, 3, 1, 2},
    Entry{"FLUSHALL", Rule::none},
    Entry{"FLUSHDB", Rule::none},
    Entry{"FUNCTION", Rule::none},
    Entry{"GEOSEARCHSTORE", Rule::fixed, 1, 1, 2},
    Entry{"HELLO", Rule::none},
    Entry{"INFO", Rule::none},
    Entry{"KEYS", Rule::none},
    Entry{"LASTSAVE", Rule::none},
    Entry{"LATENCY", Rule::none},
    Entry{"LCS", Rule::fixed, 1, 1, 2},
    Entry{"LMOVE", Rule::fixed, 1, 1, 2},
    Entry{"LMPOP", Rule::counted, 2, 1, 1},
    Entry{"LOLWUT", Rule::none},
    Entry{"MEMORY", Rule::subcommand, 2},
    Entry{"MGET", Rule::all},
    Entry{"MODULE", Rule::none},
    Entry{"MONITOR", Rule::none},
    Entry{"MSET", Rule::all, 1, 2},
    Entry{"MSETNX", Rule::all, 1, 2},
    Entry{"MULTI", Rule::none},
    Entry{"OBJECT", Rule::subcommand, 2},
    Entry{"PFCOUNT", Rule::all},
    Entry{"PFMERGE", Rule::all},
    Entry{"PING", Rule::none},
    Entry{"PSUBSCRIBE", Rule::none},
    Entry{"PUBLISH", Rule::none},
    Entry{"PUBSUB", Rule::none},
    Entry{"PUNSUBSCRIBE", Rule::none},
    Entry{"QUIT", Rule::none},
    Entry{"RANDOMKEY", Rule::none},
    Entry{"READONLY", Rule::none},
    Entry{"READWRITE", Rule::none},
    Entry{"RENAME", Rule::fixed, 1, 1, 2},
    Entry{"RENAMENX", Rule::fixed, 1, 1, 2},
    Entry{"REPLICAOF", Rule::none},
    Entry{"RESET", Rule::none},
    Entry{"ROLE", Rule::none},
    Entry{"RPOPLPUSH", Rule::fixed, 1, 1, 2},
    Entry{"SAVE", Rule::none},
    Entry{"SCAN", Rule::none},
    Entry{"SCRIPT", Rule::none},
    Entry{"SDIFF", Rule::all},
    Entry{"SDIFFSTORE", Rule::all},
    Entry{"SELECT", Rule::none},
    Entry{"SENTINEL", Rule::none},
    Entry{"SHUTDOWN", Rule::none},
    Entry{"SINTER", Rule::all},
    Entry{"SINTERCARD", Rule::counted, 2, 1, 1},
    Entry{"SINTERSTORE", Rule::all},
    Entry{"SLAVEOF", Rule::none},
    Entry{"SLOWLOG", Rule::none},
    Entry{"SMOVE", Rule::fixed, 1, 1, 2},
    Entry{"SUBSCRIBE", Rule::none},
    Entry{"SUNION", Rule::all},
    Entry{"SUNIONSTORE", Rule::all},
    Entry{"SWAPDB", Rule::none},
    Entry{"TIME", Rule::none},
    Entry{"TOUCH", Rule::all},
    Entry{"UNLINK", Rule::all},
    Entry{"UNSUBSCRIBE", Rule::none},
    Entry{"UNWATCH", Rule::none},
    Entry{"WAIT", Rule::none},
    Entry{"WAITAOF", Rule::none},
    Entry{"WATCH", Rule::all},
    Entry{"XGROUP", Rule::subcommand, 2},
    Entry{"XINFO", Rule::subcommand, 2},
    Entry{"XREAD", Rule::streams},
    Entry{"XREADGROUP", Rule::streams},
    Entry{"ZDIFF", Rule::counted, 2, 1, 1},
    Entry{"ZDIFFSTORE", Rule::and_counted, 3, 1, 2},
    Entry{"ZINTER", Rule::counted, 2, 1, 1},
    Entry{"ZINTERCARD", Rule::counted, 2, 1, 1},
    Entry{"ZINTERSTORE", Rule::and_counted, 3, 1, 2},
    Entry{"ZMPOP", Rule::counted, 2, 1, 1},
    Entry{"ZRANGESTORE", Rule::fixed, 1, 1, 2},
    Entry{"ZUNION", Rule::counted, 2, 1, 1},
    Entry{"ZUNIONSTORE", Rule::and_counted, 3, 1, 2},
};
static_assert(std::ranges::is_sorted(kCommands, {}, &Entry::name));

constexpr Entry kUsual{"", Rule::one};

// Where in kCommands the names with each first letter begin, and, as the last one, where the table ends.
constexpr std::array<std::uint8_t, 27> kFirstWith = [] {
  std::array<std::uint8_t, 27> begins{};
  for (std::size_t letter = 0; letter < begins.size(); ++letter) {
    while (begins[letter] < kCommands.size() &&
           static_cast<std::size_t>(kCommands[begins[letter]].name[0] - 'A') < letter) {
      ++begins[letter];
    }
  }
  return begins;
}();

// Every command that a cluster gets is looked up. Few names have the same first letter and the same length.
const Entry& entry_of(std::string_view name) noexcept {
  if (name.empty()) return kUsual;
  const auto letter = static_cast<std::size_t>((static_cast<unsigned char>(name[0]) & ~0x20U) - 'A');
  if (letter >= kFirstWith.size() - 1) return kUsual;
  for (std::size_t i = kFirstWith[letter]; i < kFirstWith[letter + 1]; ++i) {
    if (equal_ignoring_case(kCommands[i].name, name)) return kCommands[i];
  }
  return kUsual;
}

// `words[at]` as a number of keys that are there; 0 if it is none.
std::size_t counted_at(std::span<const std::string_view> words, std::size_t at, std::size_t first) noexcept {
  if (at >= words.size() || first >= words.size()) return 0;
  std::size_t count = 0;
  const std::string_view text = words[at];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size()) return 0;
  return std::min(count, words.size() - first);
}

KeyRange stream_keys(std::span<const std::string_view> words) noexcept {
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (equal_ignoring_case(words[i], "STREAMS")) return {i + 1, 1, (words.size() - i - 1) / 2};
  }
  return {};
}

KeyRange keys_by(const Entry& entry, std::span<const std::string_view> words) noexcept {
  const std::size_t left = words.size() > entry.first ? words.size() - entry.first : 0;
  switch (entry.rule) {
    case Rule::none:
      return {};
    case Rule::one:
    case Rule::subcommand:
      return {entry.first, 1, std::min<std::size_t>(left, 1)};
    case Rule::fixed:
      return {entry.first, entry.step, std::min<std::size_t>(left, entry.last)};
    case Rule::all: {
      const std::size_t keys = left > entry.last ? left - entry.last : 0;
      return {entry.first, entry.step, (keys + entry.step - 1) / entry.step};
    }
    case Rule::counted:
    case Rule::and_counted:
      return {entry.first, 1, counted_at(words, entry.last, entry.first)};
    case Rule::streams:
      return stream_keys(words);
  }
  return {};
}

}  // namespace

KeyRange command_keys(std::span<const std::string_view> words) noexcept {
  return words.empty() ? KeyRange{} : keys_by(entry_of(words[0]), words);
}

CommandSlot command_slot(std::span<const std::string_view> words) noexcept {
  CommandSlot result;
  if (words.empty()) return result;
  const auto visit = [&result](std::string_view key) {
    const std::uint16_t slot = key_slot(key);
    if (!result.slot) {
      result.slot = slot;
      result.key = key;
    } else if (slot != *result.slot && !result.crosses) {
      result.crosses = true;
      result.other_key = key;
    }
  };
  const Entry& entry = entry_of(words[0]);
  if (entry.rule == Rule::and_counted && words.size() > 1) visit(words[1]);
  const KeyRange keys = keys_by(entry, words);
  for (std::size_t i = 0; i < keys.count; ++i) visit(words[keys.first + i * keys.step]);
  return result;
}

}  // namespace pronghorn::worker
