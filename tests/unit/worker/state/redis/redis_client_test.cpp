#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

Task<void> increment_into(Redis redis, std::string key, std::vector<std::int64_t>& results) {
  const Reply reply = co_await redis.command("INCR", key);
  results.push_back(reply.integer());
}

Task<void> ping_then_ping(Redis redis, int& answers) {
  co_await redis.command("PING");
  ++answers;
  co_await redis.command("PING");
  ++answers;
}

// A server that says what it is told to, once, to whoever connects.
class SpeakingServer {
 public:
  explicit SpeakingServer(std::string text) : text_(std::move(text)), fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = socket();
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 16) == 0);
  }
  ~SpeakingServer() {
    if (client_ >= 0) ::close(client_);
    ::close(fd_);
  }
  [[nodiscard]] std::string socket() const { return directory_ / "s"; }
  void speak() {
    client_ = ::accept(fd_, nullptr, nullptr);
    REQUIRE(::send(client_, text_.data(), text_.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text_.size()));
  }

 private:
  TempDir directory_;
  std::string text_;
  int fd_;
  int client_ = -1;
};

}  // namespace

TEST_CASE("a command reaches Redis and its reply comes back", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  CHECK(worker.command("SET", "k", "va\0lue").string() == "OK");
  CHECK(worker.command("GET", "k").string() == "va");
  CHECK(worker.command("GET", "absent").is_nil());
  CHECK(worker.command("INCRBY", "n", 41).integer() == 41);
  CHECK(worker.command("RPUSH", "list", "a", "b").integer() == 2);
  const Reply list = worker.command("LRANGE", "list", 0, -1);
  REQUIRE(list.array().size() == 2);
  CHECK(list.array()[1].string() == "b");
  CHECK_THROWS_AS(list.integer(), RedisError);
  CHECK_THROWS_AS(worker.command("INCR", "k"), RedisError);
  const std::string binary("\r\n\0$5\r\n", 8);
  worker.command("SET", "binary", binary);
  CHECK(worker.command("GET", "binary").string() == binary);
  CHECK(worker.row->redis_state.load() == RedisState::up);
  CHECK((*worker.row)[Count::redis_commands].load() == 9);
  CHECK((*worker.row)[Count::redis_errors].load() == 1);
  CHECK((*worker.row)[Count::redis_latency].load() > 0);
}

TEST_CASE("commands of one turn of the loop are answered in order", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  std::vector<std::int64_t> results;
  std::vector<Task<void>> tasks;
  for (int i = 0; i < 5000; ++i) {
    tasks.push_back(increment_into(worker.redis(), "n", results));
    tasks.back().start();
  }
  CHECK(worker.wait([&results] { return results.size() == 5000; }));
  for (std::size_t i = 0; i < results.size(); ++i) REQUIRE(results[i] == static_cast<std::int64_t>(i + 1));
}

TEST_CASE("a pipeline gives every reply, refused commands as error replies", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  std::vector<Command> commands;
  commands.emplace_back("MULTI");
  commands.emplace_back("SET", "a", 1);
  commands.emplace_back("EXEC");
  commands.emplace_back("NO-SUCH-COMMAND");
  commands.emplace_back("GET", "a");
  const std::vector<Reply> replies = worker.run(worker.redis().pipeline(std::move(commands)));
  REQUIRE(replies.size() == 5);
  CHECK(replies[2].array().at(0).string() == "OK");
  CHECK(replies[3].is_error());
  CHECK(replies[4].string() == "1");
  CHECK(worker.run(worker.redis().pipeline({})).empty());
}

TEST_CASE("a command larger than the socket's buffer arrives whole", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string large(20'000'000, 'x');
  worker.command("SET", "large", large);
  CHECK(worker.command("GET", "large").string() == large);
}

TEST_CASE("what would spoil the shared connection is refused before it is sent", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  CHECK_THROWS_AS(worker.command("subscribe", "news"), RedisError);
  CHECK_THROWS_AS(worker.command("BLPOP", "list", 0), RedisError);
  CHECK_THROWS_AS(worker.command("XREAD", "BLOCK", 0, "STREAMS", "s", "$"), RedisError);
  CHECK_THROWS_AS(worker.command("MULTI"), RedisError);
  CHECK_THROWS_AS(worker.command("client", "reply", "off"), RedisError);
  CHECK_THROWS_AS(worker.run(worker.redis().run(Command(std::vector<std::string>{}))), RedisError);
  CHECK(worker.command("PING").string() == "PONG");
  CHECK((*worker.row)[Count::redis_commands].load() == 1);
}

TEST_CASE("a script is known to Redis after its first run, and again after Redis forgot it", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Script script("return {KEYS[1], ARGV[1]}");
  for (int i = 0; i < 3; ++i) {
    const Reply reply = worker.run(worker.redis().script(script, {"k"}, {"v"}));
    CHECK(reply.array().at(1).string() == "v");
  }
  CHECK(redis.command({"SCRIPT", "EXISTS", script.sha1()}) == "1");
  CHECK((*worker.row)[Count::redis_commands].load() == 4);
  CHECK((*worker.row)[Count::redis_errors].load() == 0);
  redis.command({"SCRIPT", "FLUSH"});
  CHECK(worker.run(worker.redis().script(script, {"k"}, {"w"})).array().at(1).string() == "w");
}

TEST_CASE("a command that Redis does not answer in time fails, and its late reply reaches nobody", "[redis]") {
  RedisProcess redis;
  StateWorker worker(config_for(redis.url(), 600ms));
  worker.ready();
  worker.command("SET", "k", "old");
  REQUIRE(redis.command({"CLIENT", "PAUSE", "800", "ALL"}) == "OK");
  CHECK_THROWS_AS(worker.command("GET", "k"), RedisUnavailable);
  CHECK((*worker.row)[Count::redis_errors].load() == 1);
  // The pause ends before the connection is given up; the reply to GET is discarded.
  CHECK(worker.command("ECHO", "mine").string() == "mine");
  CHECK(worker.state->redis_up());
  // The next one has its own deadline again.
  REQUIRE(redis.command({"CLIENT", "PAUSE", "800", "ALL"}) == "OK");
  CHECK_THROWS_AS(worker.command("GET", "k"), RedisUnavailable);
  CHECK(worker.state->redis_up());
}

TEST_CASE("a Redis that stays silent is given up, and used again when it answers", "[redis]") {
  RedisProcess redis;
  StateWorker worker(config_for(redis.url(), 100ms));
  worker.ready();
  ::kill(redis.pid(), SIGSTOP);
  CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  CHECK(worker.row->redis_state.load() == RedisState::down);
  Task<Reply> ping = worker.redis().command("PING");
  ping.start();
  CHECK(ping.done());  // at once, without waiting for anything
  CHECK_THROWS_AS(ping.take(), RedisUnavailable);
  ::kill(redis.pid(), SIGCONT);
  CHECK(worker.wait([&worker] { return worker.state->redis_up(); }));
  CHECK(worker.command("PING").string() == "PONG");
}

TEST_CASE("a handler that blocks the loop does not make Redis seem late", "[redis]") {
  RedisProcess redis;
  StateWorker worker(config_for(redis.url(), 100ms));
  worker.ready();
  ::kill(redis.pid(), SIGSTOP);
  Task<Reply> ping = worker.redis().command("PING");
  ping.start();
  uv_run(worker.loop(), UV_RUN_NOWAIT);  // sends it
  ::kill(redis.pid(), SIGCONT);
  ::usleep(200'000);        // what the handler does
  redis.command({"PING"});  // ours, which came before, is answered too
  CHECK(worker.finish(ping).string() == "PONG");
}

TEST_CASE("the worker comes back to a Redis that was killed", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Task<Reply> waiting = worker.redis().command("PING");
  ::kill(redis.pid(), SIGSTOP);
  waiting.start();
  redis.kill();
  CHECK_THROWS_AS(worker.finish(waiting), RedisUnavailable);
  CHECK_FALSE(worker.state->redis_up());
  CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
  redis.restart();
  CHECK(worker.wait([&worker] { return worker.state->redis_up(); }));
  CHECK(worker.command("PING").string() == "PONG");
}

TEST_CASE("commands wait for the first connection, at most for the deadline", "[redis]") {
  RedisProcess redis;
  SECTION("Redis is there") {
    StateWorker worker(redis.url());
    worker.start();
    CHECK(worker.command("PING").string() == "PONG");
  }
  SECTION("Redis comes a little later") {
    redis.stop();
    StateWorker worker(config_for(redis.url(), 5s));
    worker.start();
    Task<Reply> ping = worker.redis().command("PING");
    ping.start();
    worker.turn(60ms);
    CHECK_FALSE(ping.done());
    redis.restart();
    CHECK(worker.finish(ping).string() == "PONG");
  }
  SECTION("Redis does not come") {
    redis.stop();
    StateWorker worker(config_for(redis.url(), 200ms));
    worker.start();
    CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
    CHECK(worker.row->redis_state.load() == RedisState::down);
    redis.restart();
    CHECK(worker.wait([&worker] { return worker.state->redis_up(); }));
  }
}

TEST_CASE("a wrong password ends the start with a line that does not contain it", "[redis]") {
  RedisOptions options;
  options.password = "right";
  options.tcp = true;
  RedisProcess redis(options);
  const std::string server = "127.0.0.1:" + std::to_string(redis.port());
  SECTION("another password") {
    StateWorker worker("redis://someone:wrong-secret@" + server);
    worker.start();
    CHECK(worker.wait([&worker] { return !worker.fatal.empty(); }));
    CHECK(worker.fatal.find("someone@" + server) != std::string::npos);
    CHECK(worker.fatal.find("wrong-secret") == std::string::npos);
    CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
  }
  SECTION("no password") {
    StateWorker worker("redis://" + server);
    worker.start();
    CHECK(worker.wait([&worker] { return !worker.fatal.empty(); }));
    CHECK(worker.fatal.find(server) != std::string::npos);
  }
  SECTION("no such database") {
    StateWorker worker(redis.tcp_url() + "/9999");
    worker.start();
    CHECK(worker.wait([&worker] { return !worker.fatal.empty(); }));
    CHECK(worker.fatal.find("9999") != std::string::npos);
  }
  SECTION("the right one") {
    StateWorker worker(redis.tcp_url() + "/3");
    worker.ready();
    worker.command("SET", "where", "db3");
    CHECK(redis.command({"GET", "where"}) == "(nil)");
    CHECK(worker.fatal.empty());
  }
}

TEST_CASE("a password that is changed while the server runs does not end it", "[redis]") {
  RedisOptions options;
  options.password = "right";
  options.tcp = true;
  RedisProcess redis(options);
  StateWorker worker(redis.tcp_url());
  worker.ready();
  worker.command("CONFIG", "SET", "requirepass", "changed");
  Task<Reply> quit = worker.redis().command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no");
  quit.start();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  worker.turn(200ms);
  CHECK(worker.fatal.empty());
  CHECK(worker.row->redis_state.load() == RedisState::down);
}

TEST_CASE("a destroyed coroutine's reply is dropped and the others get theirs", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  auto first = std::make_unique<Task<Reply>>(worker.redis().command("ECHO", "first"));
  Task<Reply> second = worker.redis().command("ECHO", "second");
  first->start();
  second.start();
  first.reset();
  CHECK(worker.finish(second).string() == "second");
}

TEST_CASE("a resumed coroutine may destroy another that is about to be resumed", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Task<Reply> victim = worker.redis().command("ECHO", "victim");
  const auto murder = [](Redis client, Task<Reply>& other) -> Task<void> {
    co_await client.command("PING");
    other.reset();
    co_await client.command("PING");
  };
  Task<void> murderer = murder(worker.redis(), victim);
  murderer.start();
  victim.start();
  worker.finish(murderer);
  CHECK_FALSE(victim.valid());
}

TEST_CASE("when the services close, what waits for Redis fails", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  int answers = 0;
  Task<void> task = ping_then_ping(worker.redis(), answers);
  task.start();
  worker.state->close();
  CHECK(task.done());
  CHECK_THROWS_AS(task.take(), RedisUnavailable);
  CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
}

TEST_CASE("nothing that a strange server says breaks the worker", "[redis]") {
  const std::string depth = "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n";
  const auto text = GENERATE_COPY(as<std::string>(), "HTTP/1.1 400 Bad Request\r\n\r\n", "*2147483647\r\n",
                                  "$9223372036854775807\r\n", "$-7\r\n", "*-1\r\n*0\r\n+PONG\r\n", depth,
                                  ":12345678901234567890123\r\n", "-ERR max number of clients reached\r\n",
                                  "+PONG\r\n+PONG\r\n+PONG\r\n", "-\r\n", "+\r\n");
  SpeakingServer server(text);
  StateWorker worker(config_for("unix:" + server.socket(), 100ms));
  worker.start();
  server.speak();
  worker.turn(150ms);
  CHECK(worker.fatal.empty());
}

TEST_CASE("a host name without an address is told, not waited for", "[redis]") {
  StateWorker worker(config_for("redis://no-such-host.invalid:6379", 300ms));
  worker.start();
  CHECK(worker.wait([&worker] { return worker.row->redis_state.load() == RedisState::down; }));
  CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
}

TEST_CASE("every address of a host is tried", "[redis]") {
  RedisOptions options;
  options.tcp = true;
  RedisProcess redis(options);  // on 127.0.0.1 alone, while localhost may mean ::1 first
  StateWorker worker("redis://localhost:" + std::to_string(redis.port()));
  worker.ready();
  CHECK(worker.command("PING").string() == "PONG");
}

// A full disk was visible nowhere but in Redis' own log.
TEST_CASE("a Redis that cannot save refuses writes, answers reads, and is up again when it can", "[redis]") {
  const TempDir gone;
  std::filesystem::create_directory(gone / "d");
  const RedisProcess redis({.password = {}, .tcp = false, .arguments = {"--dir", gone / "d", "--save", "3600 1000"}});
  StateWorker worker(redis.url());
  worker.ready();
  CHECK(worker.command("SET", "k", "v").string() == "OK");
  std::filesystem::remove(gone / "d");
  (void)redis.command({"BGSAVE"});
  REQUIRE(eventually(10s, [&] { return redis.command({"PING"}).starts_with("-MISCONF"); }));

  CHECK_THROWS_AS(worker.command("SET", "k", "w"), RedisError);
  CHECK(worker.command("GET", "k").string() == "v");
  CHECK(worker.row->redis_state.load() == RedisState::down);
  CHECK_FALSE(worker.state->redis_up());

  REQUIRE(redis.command({"CONFIG", "SET", "stop-writes-on-bgsave-error", "no"}) == "OK");
  CHECK(worker.wait([&] { return worker.row->redis_state.load() == RedisState::up; }));
  CHECK(worker.state->redis_up());
}
