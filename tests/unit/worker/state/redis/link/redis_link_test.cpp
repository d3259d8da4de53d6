#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

// Accepts one connection and sends it a fixed text.
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

TEST_CASE("the worker reconnects to a Redis that was killed and restarted", "[redis]") {
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

TEST_CASE("malformed replies do not break the worker", "[redis]") {
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

TEST_CASE("a host name that does not resolve makes Redis unavailable", "[redis]") {
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

// Names were resolved on libuv's thread pool, so a reconnect waited for everything that handlers had offloaded.
TEST_CASE("connecting by name does not wait for blocking work on the thread pool", "[redis]") {
  RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  StateWorker worker("redis://localhost:" + std::to_string(redis.port()));
  constexpr std::size_t kJobs = 64;  // more than there are threads
  uv_sem_t may_end;
  REQUIRE(uv_sem_init(&may_end, 0) == 0);
  std::vector<uv_work_t> jobs(kJobs);
  for (uv_work_t& job : jobs) {
    job.data = &may_end;
    REQUIRE(uv_queue_work(
                worker.loop(), &job, [](uv_work_t* work) { uv_sem_wait(static_cast<uv_sem_t*>(work->data)); },
                [](uv_work_t* work, int) { work->data = nullptr; }) == 0);
  }
  worker.start();
  CHECK(worker.wait([&] { return worker.state->redis_up(); }));
  for (std::size_t i = 0; i < kJobs; ++i) uv_sem_post(&may_end);
  CHECK(
      worker.wait([&] { return std::ranges::all_of(jobs, [](const uv_work_t& job) { return job.data == nullptr; }); }));
  uv_sem_destroy(&may_end);
}

TEST_CASE("a worker can stop while the name of its Redis is being resolved", "[redis]") {
  StateWorker worker("redis://no-such-host.invalid:6379");
  worker.start();
}
