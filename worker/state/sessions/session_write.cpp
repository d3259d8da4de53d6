#include "worker/state/sessions/session_write.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"
#include "worker/state/sessions/session_scripts.h"
#include "worker/state/sessions/session_state.h"

namespace pronghorn::worker {
namespace {

// Adds what a session holds to a write of another one. False if it has ended.
Task<bool> add_fields(RedisClient& client, SessionWrite& written, const std::string& key) {
  RedisCall reading(client);
  reading.send({"HGETALL", key});
  co_await reading;
  require_served(reading.reply());
  const Reply::Array& fields = reading.reply().array();
  if (fields.empty()) co_return false;
  written.create = true;
  std::vector<std::string> kept;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string& name = fields[i].string();
    const bool renewed = (name == kCookieSentField && !written.cookie_sent.empty()) ||
                         (name == kBornField && !written.born.empty()) ||
                         (name == kMarkField && !written.mark_key.empty());
    if (renewed || std::ranges::find(written.erases, name) != written.erases.end()) continue;
    kept.insert(kept.end(), {name, fields[i + 1].string()});
  }
  written.sets.insert(written.sets.begin(), kept.begin(), kept.end());  // before the changes, which win
  written.erases.clear();
  co_return true;
}

// Whether it was there.
Task<bool> remove(RedisClient& client, const std::string& key) {
  RedisCall call(client);
  call.send({"DEL", key});
  co_await call;
  require_served(call.reply());
  co_return call.reply().integer() == 1;
}

}  // namespace

Task<Reply> write_session(RedisClient& client, const SessionWrite& write) {
  std::vector<std::string_view> keys{write.key};
  if (!write.old_key.empty()) keys.emplace_back(write.old_key);
  if (!write.mark_key.empty()) keys.emplace_back(write.mark_key);
  const std::string sets = std::to_string(write.sets.size() / 2);
  const auto runs_for = std::chrono::steady_clock::now() - write.begun;
  const std::string runs_for_us = std::to_string(std::chrono::ceil<std::chrono::microseconds>(runs_for).count());
  std::vector<std::string_view> args{write.ttl,
                                     write.create ? "1" : "0",
                                     write.cookie_sent,
                                     sets,
                                     write.old_key.empty() ? "0" : "1",
                                     write.mark_key.empty() ? "0" : "1",
                                     write.born,
                                     runs_for_us};
  args.insert(args.end(), write.sets.begin(), write.sets.end());
  args.insert(args.end(), write.erases.begin(), write.erases.end());
  Reply reply = co_await run_script(client, session_write_script(), keys, args, kUnnamedKeys);
  co_return reply;
}

Task<Reply> move_session(RedisClient& client, SessionWrite write) {
  const std::string old_key = std::exchange(write.old_key, "");
  write.create = !write.sets.empty();
  SessionWrite whole = write;
  const bool found = co_await add_fields(client, whole, old_key);
  Reply reply = co_await write_session(client, whole);
  if (!found || reply.is_error() || reply.integer() == 0) co_return reply;
  const bool was_there = co_await remove(client, old_key);
  if (was_there) co_return reply;
  (void)co_await remove(client, write.key);
  reply = co_await write_session(client, write);
  co_return reply;
}

}  // namespace pronghorn::worker
