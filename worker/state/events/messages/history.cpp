#include "worker/state/events/messages/history.h"

#include <array>
#include <charconv>
#include <optional>
#include <span>

#include "worker/crypto/random_hex.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kPageEvents = "64";
constexpr std::string_view kPageBytes = "262144";
constexpr std::string_view kPublisherKept = "600000";  // ms: longer than any worker is away
constexpr std::chrono::milliseconds kFactsOutlive = std::chrono::hours(24);

// KEYS: facts, stream, and what the publisher has published last, if that is of interest. ARGV: epoch for a new history,
// channel, payload, length, ms to keep the stream, ms to keep the facts, number of the publisher's event, ms to keep
// that. Returns receivers, epoch, offset. If somebody else has written to the keys so that no event can be added, the
// history begins anew; if they are of another type, nothing is changed.
const Script& publish_script() {
  static const Script script(R"(
local function is_known(epoch, offset)
  return epoch and string.find(epoch, '^' .. string.rep('[0-9a-f]', 16) .. '$') and epoch ~= string.rep('0', 16) and
         offset and #offset <= 15 and string.find(offset, '^%d+$')
end
if KEYS[3] then
  local last = redis.call('HMGET', KEYS[3], 'number', 'receivers', 'epoch', 'offset')
  local number, receivers = tonumber(last[1] or nil), tonumber(last[2] or nil)
  if number and receivers and is_known(last[3], last[4]) and number >= tonumber(ARGV[7]) then
    return {receivers, last[3], last[4]}
  end
end
local epoch, offset = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'offset'))
local function begin()
  epoch, offset = ARGV[1], '0'
  redis.call('HSET', KEYS[1], 'epoch', epoch)
  redis.call('DEL', KEYS[2])
end
local function add()
  offset = string.format('%.0f', offset + 1)
  return redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], offset .. '-0', 'p', ARGV[3])
end
local function is_ahead()
  local facts = redis.pcall('XINFO', 'STREAM', KEYS[2])
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' then return tonumber(string.match(facts[i + 1], '^%d+')) >= tonumber(offset) end
  end
end
if not is_known(epoch, offset) then begin() end
local added = add()
if type(added) == 'table' and added.err and is_ahead() then
  begin()
  added = add()
end
if type(added) == 'table' and added.err then return added end
redis.call('HSET', KEYS[1], 'offset', offset)
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
local receivers = redis.call('PUBLISH', ARGV[2], 'k' .. epoch .. '-' .. offset .. '\n' .. ARGV[3])
if KEYS[3] then
  redis.call('HSET', KEYS[3], 'number', ARGV[7], 'receivers', receivers, 'epoch', epoch, 'offset', offset)
  redis.call('PEXPIRE', KEYS[3], ARGV[8])
end
return {receivers, epoch, offset}
)");
  return script;
}

// KEYS: facts, stream. ARGV: epoch, offset, events, bytes. Returns epoch, offset, then id and payload of each event.
const Script& read_script() {
  static const Script script(R"(
local facts = redis.call('HMGET', KEYS[1], 'epoch', 'offset')
if not facts[1] then return {'', '0'} end
local reply = {facts[1], facts[2] or '0'}
if ARGV[3] == '0' then return reply end
local from = 1
if facts[1] == ARGV[1] then from = tonumber(ARGV[2]) + 1 end
local bytes = 0
local first, last = string.format('%.0f-0', from), reply[2] .. '-0'  -- what is behind, somebody else has added
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], first, last, 'COUNT', ARGV[3])) do
  reply[#reply + 1] = entry[1]
  reply[#reply + 1] = entry[2][2]
  bytes = bytes + #entry[2][2]
  if bytes >= tonumber(ARGV[4]) then break end
end
return reply
)");
  return script;
}

[[noreturn]] void throw_unexpected() { throw RedisError("the history of a topic in Redis is not one of ours"); }

// `text` is an id of a stream: "N-0".
std::uint64_t offset_of(std::string_view text) {
  std::uint64_t offset = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
  const bool whole = end == text.data() + text.size() || std::string_view(end, text.data() + text.size()) == "-0";
  if (error != std::errc{} || !whole || offset > kMaxOffset) throw_unexpected();
  return offset;
}

std::uint64_t epoch_of(const std::string& text) {
  const auto epoch = parse_epoch(text);
  if (!epoch) throw_unexpected();
  return *epoch;
}

HistoryPage parse_page(const Reply& reply) {
  const Reply::Array& values = reply.array();
  if (values.size() < 2 || values.size() % 2 != 0) throw_unexpected();
  HistoryPage page;
  if (values[0].string().empty()) return page;
  page.last = {epoch_of(values[0].string()), offset_of(values[1].string())};
  for (std::size_t i = 2; i < values.size(); i += 2) {
    const Position position{page.last.epoch, offset_of(values[i].string())};
    page.events.push_back(std::make_shared<SharedEvent>(values[i + 1].string(), position));
  }
  return page;
}

Task<HistoryPage> read(RedisClient& client, const HistoryKeys& keys, Position after, std::string_view count) {
  const std::array<std::string_view, 2> key_views{keys.facts, keys.stream};
  const std::string epoch = after ? epoch_text(after.epoch) : std::string();
  const std::string offset = std::to_string(after.offset);
  const std::array<std::string_view, 4> args{epoch, offset, count, kPageBytes};
  const Reply reply = co_await run_script(client, read_script(), key_views, args);
  require_served(reply);
  co_return parse_page(reply);
}

}  // namespace

Task<KeptEvent> publish_kept(RedisClient& client, const HistoryKeys& keys, std::string_view channel,
                             std::string_view payload, std::uint32_t length, std::chrono::milliseconds keep,
                             std::uint64_t number) {
  const std::array<std::string_view, 3> key_views{keys.facts, keys.stream, keys.publisher};
  const std::string fresh_epoch = random_hex().substr(0, 16);
  const std::string length_text = std::to_string(length);
  const std::string keep_text = std::to_string(keep.count());
  const std::string facts_text = std::to_string((keep + kFactsOutlive).count());
  const std::string number_text = std::to_string(number);
  const std::array<std::string_view, 8> args{fresh_epoch, channel,    payload,     length_text,
                                             keep_text,   facts_text, number_text, kPublisherKept};
  const std::span<const std::string_view> used_keys(key_views.data(), keys.publisher.empty() ? 2 : 3);
  const Reply reply = co_await run_script(client, publish_script(), used_keys, args);
  require_served(reply);
  const Reply::Array& values = reply.array();
  if (values.size() != 3) throw_unexpected();
  KeptEvent kept;
  kept.receivers = values[0].integer();
  kept.position = {epoch_of(values[1].string()), offset_of(values[2].string())};
  co_return kept;
}

Task<HistoryPage> read_history(RedisClient& client, const HistoryKeys& keys, Position after) {
  return read(client, keys, after, kPageEvents);
}

Task<HistoryPage> read_last_position(RedisClient& client, const HistoryKeys& keys) {
  return read(client, keys, {}, "0");
}

}  // namespace pronghorn::worker
