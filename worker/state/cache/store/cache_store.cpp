#include "worker/state/cache/store/cache_store.h"

#include <algorithm>
#include <array>
#include <utility>

#include "worker/state/cache/store/cache_scripts.h"
#include "worker/state/cache/store/tracked_read.h"
#include "worker/state/keys/key.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

bool is_wrong_type(const Reply& reply) { return reply.is_error() && error_code(reply.error()) == "WRONGTYPE"; }

// The text of a string; "" if there is none, or something else.
std::string text_of(const Reply& reply) {
  if (is_wrong_type(reply)) return {};
  require_served(reply);
  return reply.is_string() ? reply.string() : std::string();
}

// False if the bytes are no entry.
bool read_entry(std::string bytes, Judged& judged) {
  judged.prefix = entry_prefix(bytes);
  std::optional<Entry> entry = decode_entry(std::move(bytes));
  if (entry) judged.entry = std::move(*entry);
  return entry.has_value();
}

// What the caller may do with an entry whose tags are valid.
void decide(const CacheCall& call, Judged& judged, milliseconds left) {
  judged.age = std::max(milliseconds(0), judged.entry.lifetime - left);
  judged.left = left - judged.entry.stale;
  if (left.count() <= 0 || judged.age >= call.max_age) return;
  if (call.least_fresh && (judged.left.count() <= 0 || judged.left < *call.least_fresh)) return;
  if (judged.entry.missing && !call.accepts_missing) return;
  judged.use = judged.left.count() > 0 ? Judged::Use::fresh : Judged::Use::stale;
}

}  // namespace

CacheStore::CacheStore(RedisClient& client, std::string_view application)
    : client_(client), prefix_(key_prefix(application) + ":c:") {}

EntryKeys CacheStore::keys_of(std::string_view key, std::string_view kind) const {
  std::string entry = prefix_;
  entry.append(kind).append("{").append(bounded_key(key)).append("}");
  std::string lock = entry + ":l";
  std::string news = entry + ":n";
  return {std::move(entry), std::move(lock), std::move(news)};
}

std::string CacheStore::tag_key(std::string_view tag) const { return prefix_ + "t:" + bounded_key(tag); }

// The time to live first: if the entry is replaced in between, its time is taken for shorter than it is, not longer.
Task<Judged> CacheStore::look(const CacheCall& call, LocalCache* copies) {
  TrackedRead read(client_, copies);
  const std::size_t life = read.send({"PTTL", call.keys.entry});
  const std::size_t entry = read.get(call.keys.entry);
  std::vector<std::size_t> versions;
  for (const CallTag& tag : call.tags) versions.push_back(read.get(tag.key));
  co_await read.call();
  const Reply left = read.take(life);
  require_served(left);
  Judged judged;
  if (!read_entry(text_of(read.take(entry)), judged)) co_return judged;
  std::vector<std::string> current;
  for (const std::size_t version : versions) current.push_back(text_of(read.take(version)));
  std::vector<EntryTag> unknown;
  for (const EntryTag& tag : judged.entry.tags) {
    const auto known =
        static_cast<std::size_t>(std::ranges::find(call.tags, tag.key, &CallTag::key) - call.tags.begin());
    if (known == call.tags.size()) {
      unknown.push_back(tag);
    } else if (current[known] != tag.version) {
      co_return judged;
    }
  }
  if (!unknown.empty()) {
    const bool unchanged = co_await are_current(unknown);
    if (!unchanged) co_return judged;
  }
  decide(call, judged, milliseconds(left.integer()));
  if (judged.use == Judged::Use::fresh && unknown.empty() && !judged.entry.missing) read.keep(call, judged);
  co_return judged;
}

Task<Judged> CacheStore::judge(const CacheCall& call, std::string bytes, milliseconds left) {
  Judged judged;
  if (!read_entry(std::move(bytes), judged)) co_return judged;
  const bool current = co_await are_current(judged.entry.tags);
  if (current) decide(call, judged, left);
  co_return judged;
}

Task<bool> CacheStore::are_current(const std::vector<EntryTag>& tags) {
  RedisCall read(client_);
  for (const EntryTag& tag : tags) read.send({"GET", tag.key});
  co_await read;
  bool current = true;
  for (std::size_t i = 0; i < tags.size(); ++i) current = text_of(read.reply(i)) == tags[i].version && current;
  co_return current;
}

// EVAL with the source, so that all tags cost one round trip.
Task<std::vector<EntryTag>> CacheStore::versions_for(const std::vector<CallTag>& tags) {
  std::vector<EntryTag> versions;
  RedisCall call(client_);
  for (const CallTag& tag : tags) {
    versions.push_back({tag.key, ids_.next()});
    const std::string life = std::to_string(tag.life.count());
    call.send({"EVAL", tag_version_script().source(), "1", tag.key, versions.back().version, life});
  }
  co_await call;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    require_served(call.reply(i));
    versions[i].version = call.reply(i).string();
  }
  co_return versions;
}

void CacheStore::keep_versions(const CacheCall& call, milliseconds life) {
  for (std::size_t i = 0; i < call.versions.size(); ++i) {
    if (call.tags[i].life < life) prolong(call.versions[i], life, life);
  }
}

void CacheStore::renew_versions(const CacheCall& call, milliseconds least) {
  for (std::size_t i = 0; i < call.versions.size(); ++i) prolong(call.versions[i], call.tags[i].life, least);
}

void CacheStore::prolong(const EntryTag& tag, milliseconds life, milliseconds least) {
  const std::string life_text = std::to_string(life.count());
  const std::string least_text = std::to_string(least.count());
  client_.post(std::array<std::string_view, 7>{"EVAL", keep_version_script().source(), "1", tag.key, tag.version,
                                               life_text, least_text});
}

Task<void> CacheStore::put(const EntryKeys& keys, const Entry& entry) {
  const std::string bytes = encode(entry);
  const std::string life = std::to_string(entry.lifetime.count());
  const std::array<std::string_view, 2> names{keys.entry, keys.lock};
  const std::array<std::string_view, 2> args{bytes, life};
  const Reply reply = co_await run_script(client_, put_entry_script(), names, args);
  require_served(reply);
  client_.post(std::array<std::string_view, 3>{"PUBLISH", keys.news, ""});
}

Task<void> CacheStore::remove(EntryKeys keys) {
  RedisCall call(client_);
  call.send({"DEL", keys.entry, keys.lock});
  co_await call;
  require_served(call.reply());
  client_.post(std::array<std::string_view, 3>{"PUBLISH", keys.news, ""});  // whoever waits for the fill runs his own
}

Task<void> CacheStore::remove_tag(std::string tag_key) {
  RedisCall call(client_);
  call.send({"DEL", tag_key});
  co_await call;
  require_served(call.reply());
}

}  // namespace pronghorn::worker
