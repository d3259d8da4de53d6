// The lower bound for the session route: libuv, llhttp and hiredis, and one script per request, which counts the client's
// limit and the visits of the session. Nothing else: no timeouts, no limits, no errors but those that end the program.
//
//   uv_redis PORT REDIS_SOCKET
#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <llhttp.h>
#include <strings.h>
#include <sys/random.h>
#include <uv.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "uv_server.h"

namespace {

constexpr std::size_t kReadSize = 64 * 1024;
constexpr const char* kScript = R"lua(
local used = redis.call('INCR', KEYS[1])
if used == 1 then redis.call('PEXPIRE', KEYS[1], 60000) end
local visits = redis.call('HINCRBY', KEYS[2], 'visits', 1)
if visits == 1 then redis.call('PEXPIRE', KEYS[2], 86400000) end
return {used, redis.call('PTTL', KEYS[1]), visits}
)lua";

struct Connection {
  uv_tcp_t socket;
  llhttp_t parser;
  std::string field, cookie;
  bool is_new = false;  // the session
  bool waits = false;   // for Redis
  bool is_open = true;
};

std::array<char, kReadSize> read_buffer;
std::string date;
std::string script_sha1;
llhttp_settings_t parser_settings;
redisAsyncContext* redis;

void close_connection(Connection& connection) {
  connection.is_open = false;
  auto* handle = reinterpret_cast<uv_handle_t*>(&connection.socket);
  if (connection.waits || uv_is_closing(handle)) return;
  uv_close(handle, [](uv_handle_t* closed) { delete static_cast<Connection*>(closed->data); });
}

std::string new_session() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
  std::string id;
  for (const unsigned char byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    id += kDigits[byte >> 4U];
    id += kDigits[byte & 15U];
  }
  return id;
}

void answer(Connection& connection, const redisReply& reply) {
  const long long used = reply.element[0]->integer, left_ms = reply.element[1]->integer;
  const std::string body = "{\"visits\":" + std::to_string(reply.element[2]->integer) + "}";
  std::string output = "HTTP/1.1 200 OK\r\nServer: uv_redis\r\nDate: " + date +
                       "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                       "\r\nRateLimit-Policy: \"default\";q=10000000;w=60\r\nRateLimit: \"default\";r=" +
                       std::to_string(10'000'000 - used) + ";t=" + std::to_string((left_ms + 999) / 1000) + "\r\n";
  if (connection.is_new) output += "Set-Cookie: session=" + connection.cookie + "; Path=/; HttpOnly; SameSite=Lax\r\n";
  output += "\r\n" + body;
  uv_buf_t all = uv_buf_init(output.data(), static_cast<unsigned>(output.size()));
  const int sent = uv_try_write(reinterpret_cast<uv_stream_t*>(&connection.socket), &all, 1);
  if (sent != static_cast<int>(output.size())) close_connection(connection);  // such small answers fit
}

void on_reply(redisAsyncContext*, void* data, void* owner) noexcept {
  Connection& connection = *static_cast<Connection*>(owner);
  const auto* reply = static_cast<redisReply*>(data);
  connection.waits = false;
  if (reply == nullptr || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) {
    std::fprintf(stderr, "Redis: %s\n", reply != nullptr && reply->str != nullptr ? reply->str : "no reply");
    std::exit(1);
  }
  if (!connection.is_open) return close_connection(connection);
  answer(connection, *reply);
}

int on_field(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  auto& connection = *static_cast<Connection*>(parser->data);
  connection.field.append(at, size);
  return HPE_OK;
}

int on_value(llhttp_t* parser, const char* at, std::size_t size) noexcept {
  auto& connection = *static_cast<Connection*>(parser->data);
  if (connection.field.size() == 6 && ::strcasecmp(connection.field.c_str(), "cookie") == 0) {
    connection.cookie.append(at, size);
  }
  return HPE_OK;
}

int on_value_complete(llhttp_t* parser) noexcept {
  static_cast<Connection*>(parser->data)->field.clear();
  return HPE_OK;
}

int on_message_complete(llhttp_t* parser) noexcept {
  auto& connection = *static_cast<Connection*>(parser->data);
  constexpr std::string_view kName = "session=";
  connection.is_new = !connection.cookie.starts_with(kName);
  connection.cookie = connection.is_new ? new_session() : connection.cookie.substr(kName.size());
  const std::string session = "bare:s:" + connection.cookie;
  const std::array<const char*, 5> words{"EVALSHA", script_sha1.c_str(), "2", "bare:l:127.0.0.1", session.c_str()};
  const std::array<std::size_t, 5> sizes{7, script_sha1.size(), 1, 16, session.size()};
  connection.waits = true;
  if (redisAsyncCommandArgv(redis, on_reply, &connection, 5, const_cast<const char**>(words.data()), sizes.data()) !=
      0) {
    std::exit(1);
  }
  if (!connection.is_new) connection.cookie.clear();
  return HPE_OK;
}

int on_message_begin(llhttp_t* parser) noexcept {
  static_cast<Connection*>(parser->data)->cookie.clear();
  return HPE_OK;
}

void on_read(uv_stream_t* stream, ssize_t got, const uv_buf_t* buffer) noexcept {
  auto& connection = *static_cast<Connection*>(stream->data);
  if (got == 0) return;
  if (got < 0) {
    uv_read_stop(stream);
    return close_connection(connection);
  }
  if (llhttp_execute(&connection.parser, buffer->base, static_cast<std::size_t>(got)) != HPE_OK) {
    close_connection(connection);
  }
}

void on_connection(uv_stream_t* listener, int status) noexcept {
  if (status != 0) return;
  auto connection = std::make_unique<Connection>();
  check(uv_tcp_init(listener->loop, &connection->socket), "uv_tcp_init");
  connection->socket.data = connection.get();
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection.release()->socket);
  auto& accepted = *static_cast<Connection*>(stream->data);
  if (uv_accept(listener, stream) != 0) return close_connection(accepted);
  llhttp_init(&accepted.parser, HTTP_REQUEST, &parser_settings);
  accepted.parser.data = &accepted;
  const auto lend_buffer = [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
    *buffer = uv_buf_init(read_buffer.data(), kReadSize);
  };
  if (uv_read_start(stream, lend_buffer, on_read) != 0) close_connection(accepted);
}

// The script's digest, from Redis.
std::string load_script(const char* path) {
  redisContext* connection = redisConnectUnix(path);
  if (connection == nullptr || connection->err != 0) std::exit(1);
  auto* reply = static_cast<redisReply*>(redisCommand(connection, "SCRIPT LOAD %s", kScript));
  if (reply == nullptr || reply->type != REDIS_REPLY_STRING) std::exit(1);
  std::string digest(reply->str, reply->len);
  freeReplyObject(reply);
  redisFree(connection);
  return digest;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: uv_redis PORT REDIS_SOCKET\n", stderr);
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  llhttp_settings_init(&parser_settings);
  parser_settings.on_message_begin = on_message_begin;
  parser_settings.on_header_field = on_field;
  parser_settings.on_header_value = on_value;
  parser_settings.on_header_value_complete = on_value_complete;
  parser_settings.on_message_complete = on_message_complete;
  date = http_date();
  script_sha1 = load_script(argv[2]);

  uv_loop_t* loop = uv_default_loop();
  redis = redisAsyncConnectUnix(argv[2]);
  if (redis == nullptr || redis->err != 0 || redisLibuvAttach(redis, loop) != REDIS_OK) return 1;
  return serve(loop, argv[1], on_connection, [](uv_timer_t*) { date = http_date(); });
}
