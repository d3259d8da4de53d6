// Against real servers with TLS, and against some that only pretend.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "support/tls/test_authority.h"
#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

RedisOptions tls_options(std::vector<std::string> tls, std::vector<std::string> arguments = {}) {
  return {.password = {}, .tcp = true, .arguments = std::move(arguments), .configuration = {}, .tls = std::move(tls)};
}

// The supervisor reads the files; see supervisor/launch/redis_files.h.
Config tls_config(const std::string& url, const std::string& ca, std::chrono::milliseconds timeout = 10s) {
  Config config = config_for(url, timeout);
  config.redis_ca_pem = read_file(ca);
  return config;
}

void show_certificate(Config& config, const IssuedFiles& certificate) {
  config.redis_certificate_pem = read_file(certificate.certificate);
  config.redis_key_pem = read_file(certificate.key);
}

std::string fatal_of(const Config& config) {
  StateWorker worker(config);
  worker.start();
  (void)worker.wait([&] { return !worker.fatal.empty(); });
  return worker.fatal;
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A TCP port on which this test answers itself.
class TlsPort {
 public:
  TlsPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd_, 64) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    number_ = ntohs(address.sin_port);
  }
  TlsPort(const TlsPort&) = delete;
  TlsPort& operator=(const TlsPort&) = delete;
  ~TlsPort() { ::close(fd_); }

  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const {
    return "rediss://" + host + ":" + std::to_string(number_);
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] int accept() const { return ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); }
  [[nodiscard]] bool is_asked() const {
    pollfd readable{fd_, POLLIN, 0};
    return ::poll(&readable, 1, 0) == 1;
  }

 private:
  int fd_;
  std::uint16_t number_ = 0;
};

// Passes bytes between its clients and a server, each in pieces of `piece` bytes. Of what the server sends on the n-th
// connection only n bytes pass if `cuts`; then the connection ends.
class Relay {
 public:
  Relay(std::uint16_t server, std::size_t piece, bool cuts) : server_(server), piece_(piece), cuts_(cuts) {
    thread_ = std::thread([this] { run(); });
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay() {
    ended_ = true;
    thread_.join();
  }
  [[nodiscard]] std::string url() const { return port_.url(); }
  [[nodiscard]] std::size_t connections() const noexcept { return connections_; }
  void let_pass() noexcept { cuts_ = false; }

 private:
  void run() {
    while (!ended_) {
      pollfd readable{port_.fd(), POLLIN, 0};
      if (::poll(&readable, 1, 20) != 1) continue;
      const int client = port_.accept();
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(server_);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      if (::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) pass(client, server);
      ::close(client);
      ::close(server);
    }
  }

  void pass(int client, int server) {
    const std::size_t limit = ++connections_;
    std::size_t passed = 0;
    std::array<char, 4096> bytes{};
    while (!ended_) {
      std::array<pollfd, 2> both{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
      if (::poll(both.data(), both.size(), 20) <= 0) continue;
      for (const bool is_server : {false, true}) {
        if (both[is_server ? 1 : 0].revents == 0) continue;
        const std::size_t most = std::min(piece_, bytes.size());
        const ssize_t count = ::recv(is_server ? server : client, bytes.data(), most, 0);
        if (count <= 0) return;
        (void)!::send(is_server ? client : server, bytes.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL);
        passed += is_server ? static_cast<std::size_t>(count) : 0;
        if (cuts_ && passed >= limit) return;
      }
    }
  }

  TlsPort port_;
  std::uint16_t server_;
  std::size_t piece_;
  std::atomic<bool> cuts_;
  std::atomic<bool> ended_ = false;
  std::atomic<std::size_t> connections_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("commands go to Redis over TLS, with and without a client certificate", "[redis][tls]") {
  TestAuthority authority;
  const auto clients = GENERATE(as<std::string>(), "yes", "no");
  const auto version = GENERATE(as<std::string>(), "TLSv1.2", "TLSv1.3");
  CAPTURE(clients, version);
  RedisProcess redis(
      tls_options(authority.redis_arguments(authority.issue_files(), clients), {"--tls-protocols", version}));
  Config config = tls_config(redis.tcp_url(), authority.ca());
  if (clients == "yes") show_certificate(config, authority.issue_files({.names = {}}));
  StateWorker worker(config);
  worker.ready();
  CHECK(worker.command("SET", "k", "v").string() == "OK");
  CHECK(redis.command({"GET", "k"}) == "v");

  // Many replies in one turn, and texts of many records in both directions.
  std::vector<Command> commands;
  for (int i = 0; i < 5'000; ++i) commands.emplace_back("INCR", "n");
  const auto replies = worker.run(worker.redis().pipeline(std::move(commands)));
  CHECK(replies.back().integer() == 5'000);
  std::string large(8 << 20, 'x');
  for (std::size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>('a' + i % 26);
  CHECK(worker.command("SET", "large", large).string() == "OK");
  CHECK(worker.command("GET", "large").string() == large);
}

TEST_CASE("a key may be in the file of its certificate, and a password goes through TLS", "[redis][tls]") {
  TestAuthority authority;
  RedisOptions options = tls_options(authority.redis_arguments(authority.issue_files()));
  options.password = "open-sesame";
  RedisProcess redis(options);
  const IssuedFiles own = authority.issue_files();
  Config config = tls_config(redis.tcp_url() + "/3", authority.ca());
  config.redis_certificate_pem = read_file(own.key) + read_file(own.certificate);
  StateWorker worker(config);
  worker.ready();
  CHECK(worker.command("SET", "k", "v").string() == "OK");
  CHECK(redis.command({"GET", "k"}) == "(nil)");
}

TEST_CASE("a server that does not prove who it is gets no command", "[redis][tls]") {
  TestAuthority authority;
  TestAuthority another("Another Authority");
  const auto start = [&](const IssuedFiles& shown) { return tls_options(authority.redis_arguments(shown, "no")); };
  SECTION("its authority is unknown") {
    RedisProcess redis(start(authority.issue_files()));
    const std::string fatal = fatal_of(tls_config(redis.tcp_url(), another.ca()));
    CHECK(says(fatal, "127.0.0.1:" + std::to_string(redis.port())));
    CHECK(says(fatal, "comes from \"Test Authority\", which is not trusted; set redis_ca"));
    CHECK_FALSE(says(redis.command({"INFO", "commandstats"}), "cmdstat_client"));
  }
  SECTION("its authority is not one of the system") {
    RedisProcess redis(start(authority.issue_files()));
    CHECK(says(fatal_of(config_for(redis.tcp_url())), "not trusted; set redis_ca"));
  }
  SECTION("it has another name") {
    RedisProcess redis(start(authority.issue_files({.names = {"redis.example", "*.cache.example", "IP:10.0.0.1"}})));
    const std::string by_address = fatal_of(tls_config(redis.tcp_url(), authority.ca()));
    CHECK(says(by_address, "is for redis.example, *.cache.example, 10.0.0.1, not for 127.0.0.1"));
    CHECK(says(by_address, "redis_tls_name"));
    const std::string port = std::to_string(redis.port());
    CHECK(says(fatal_of(tls_config("rediss://localhost:" + port, authority.ca())), "not for localhost"));
    for (const char* name : {"redis.example", "a.cache.example", "10.0.0.1"}) {
      Config config = tls_config(redis.tcp_url(), authority.ca());
      config.redis_tls_name = name;
      StateWorker worker(config);
      worker.ready();
    }
    Config config = tls_config(redis.tcp_url(), authority.ca());
    config.redis_tls_name = "a.b.cache.example";
    CHECK(says(fatal_of(config), "not for a.b.cache.example"));
  }
  SECTION("it signs for itself") {
    TestAuthority own("127.0.0.1");
    RedisProcess redis(tls_options({"--tls-cert-file", another.ca(), "--tls-key-file", another.key(),
                                    "--tls-ca-cert-file", own.ca(), "--tls-auth-clients", "no"}));
    CHECK(says(fatal_of(tls_config(redis.tcp_url(), own.ca())), "self-signed and not trusted; set redis_ca"));
  }
}

// Whoever renews it needs nothing of us.
TEST_CASE("an expired certificate of Redis is told, and its successor is accepted without a restart", "[redis][tls]") {
  TestAuthority authority;
  const bool is_early = GENERATE(false, true);
  IssueOptions wrong{.names = {"IP:127.0.0.1"}};
  if (is_early) {
    wrong.from = std::chrono::hours(24);
    wrong.until = std::chrono::hours(48);
  } else {
    wrong.from = std::chrono::hours(-48);
    wrong.until = std::chrono::hours(-24);
  }
  RedisProcess redis(tls_options(authority.redis_arguments(authority.issue_files(wrong), "no")));
  StateWorker worker(tls_config(redis.tcp_url(), authority.ca(), 300ms));
  worker.start();
  const std::string part = is_early ? "the server's certificate is not valid before 2" : "certificate expired at 2";
  REQUIRE(worker.wait([&] { return says(worker.row->redis_error.get(), part); }));
  CHECK(worker.row->redis_state.load() == RedisState::down);
  CHECK(worker.fatal.empty());
  redis.use_tls(authority.redis_arguments(authority.issue_files(), "no"));
  redis.restart();
  REQUIRE(worker.wait([&] { return worker.state->redis_up(); }));
  CHECK(worker.command("PING").string() == "PONG");
}

TEST_CASE("a client certificate that is missing or of another authority is told", "[redis][tls]") {
  TestAuthority authority;
  TestAuthority another("Another Authority");
  const auto version = GENERATE(as<std::string>(), "TLSv1.2", "TLSv1.3");
  CAPTURE(version);
  RedisProcess redis(tls_options(authority.redis_arguments(authority.issue_files()), {"--tls-protocols", version}));
  Config config = tls_config(redis.tcp_url(), authority.ca());
  CHECK(says(fatal_of(config), "the server requires a client certificate; set redis_certificate"));
  show_certificate(config, another.issue_files());
  CHECK(says(fatal_of(config), "the server refuses our client certificate (unknown CA); set redis_certificate"));
  IssueOptions expired{};
  expired.from = std::chrono::hours(-48);
  expired.until = std::chrono::hours(-24);
  show_certificate(config, authority.issue_files(expired));
  CHECK(says(fatal_of(config), "the server refuses our client certificate (certificate expired)"));
}

TEST_CASE("TLS on a plain port and plain text on a TLS port are told", "[redis][tls]") {
  TestAuthority authority;
  SECTION("a plain port") {
    RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
    // Redis answers a hello that happens to look like a command, and waits for more of any other.
    StateWorker worker(tls_config("rediss://127.0.0.1:" + std::to_string(redis.port()), authority.ca(), 200ms));
    worker.start();
    REQUIRE(worker.wait([&] { return !worker.fatal.empty() || !worker.row->redis_error.get().empty(); }));
    CHECK(says(worker.fatal + worker.row->redis_error.get(), "speak TLS"));
  }
  SECTION("a server that answers in plain text") {
    const TlsPort port;
    StateWorker worker(tls_config(port.url(), authority.ca()));
    worker.start();
    REQUIRE(worker.wait([&] { return port.is_asked(); }));
    const int client = port.accept();
    const std::string_view answer = "-ERR unknown command, with args beginning with: \x16\r\n";
    CHECK(::send(client, answer.data(), answer.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(answer.size()));
    CHECK(worker.wait([&] { return !worker.fatal.empty(); }));
    CHECK(says(worker.fatal, "does not speak TLS on this port; use its tls-port"));
    ::close(client);
  }
  SECTION("a TLS port") {
    RedisProcess redis(tls_options(authority.redis_arguments(authority.issue_files(), "no")));
    StateWorker worker(config_for("redis://127.0.0.1:" + std::to_string(redis.port()), 300ms));
    worker.start();
    REQUIRE(worker.wait([&] { return says(worker.row->redis_error.get(), "use rediss in the place of redis"); }));
    CHECK(worker.fatal.empty());
  }
}

TEST_CASE("a server that breaks TLS does not break the worker", "[redis][tls]") {
  TestAuthority authority;
  const TlsPort port;
  StateWorker worker(tls_config(port.url(), authority.ca(), 200ms));
  const auto said = [&] { return worker.fatal + worker.row->redis_error.get(); };
  std::vector<int> clients;
  const auto answer = [&](std::string_view bytes) {
    worker.start();
    REQUIRE(worker.wait([&] { return port.is_asked(); }));
    clients.push_back(port.accept());
    std::array<char, 4096> hello{};
    REQUIRE(worker.wait([&] { return ::recv(clients.back(), hello.data(), hello.size(), MSG_DONTWAIT) > 0; }));
    if (!bytes.empty()) (void)!::send(clients.back(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  };
  SECTION("it says nothing") {
    answer("");
    CHECK(worker.wait([&] { return says(said(), "no end of the TLS handshake within 200 ms"); }));
  }
  SECTION("it closes the connection") {
    answer("");
    ::shutdown(clients.back(), SHUT_RDWR);
    CHECK(worker.wait([&] {
      if (port.is_asked()) ::close(port.accept());
      return says(said(), " during the TLS handshake");
    }));
  }
  SECTION("it sends garbage") {
    using namespace std::string_view_literals;
    const auto bytes =
        GENERATE("\x16\x03\x03\x00\x04garbage"sv, "\x16\x03\x03\xff\xff"sv, "\x16\x00\x00\x00\x00"sv,
                 "\x15\x03\x03\x00\x02\x02\x28"sv, "\x15\x03\x03\x00\x02\x01\x00"sv,
                 "\x16\x03\x03\x00\x04\x02\xff\xff\xff\x02\x02\x02"sv, "\x00"sv, "HTTP/1.1 400\r\n\r\n"sv);
    answer(bytes);
    CHECK(worker.wait([&] { return !said().empty(); }));
    CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
  }
  for (const int client : clients) ::close(client);
}

TEST_CASE("a server gets the name by which it is reached, and no address", "[redis][tls]") {
  TestAuthority authority;
  const TlsPort port;
  const auto hello_to = [&](const std::string& host, const std::string& fixed) {
    Config config = tls_config(port.url(host), authority.ca());
    config.redis_tls_name = fixed;
    StateWorker worker(config);
    worker.start();
    REQUIRE(worker.wait([&] { return port.is_asked(); }));
    const int client = port.accept();
    std::array<char, 4096> hello{};
    ssize_t count = 0;
    REQUIRE(worker.wait([&] { return (count = ::recv(client, hello.data(), hello.size(), MSG_DONTWAIT)) > 0; }));
    ::close(client);
    return std::string(hello.data(), static_cast<std::size_t>(count));
  };
  CHECK(says(hello_to("localhost", ""), "localhost"));
  CHECK_FALSE(says(hello_to("127.0.0.1", ""), "127.0.0.1"));
  CHECK(says(hello_to("127.0.0.1", "redis.example"), "redis.example"));
}

TEST_CASE("TLS works when each byte comes alone", "[redis][tls]") {
  TestAuthority authority;
  RedisProcess redis(tls_options(authority.redis_arguments(authority.issue_files())));
  const Relay relay(redis.port(), 1, false);
  Config config = tls_config(relay.url(), authority.ca(), 60s);
  show_certificate(config, authority.issue_files());
  StateWorker worker(config);
  worker.start();
  REQUIRE(worker.wait([&] { return worker.state->redis_up(); }, 60s));
  CHECK(worker.command("SET", "k", std::string(2'000, 'x')).string() == "OK");
  CHECK(worker.command("GET", "k").string() == std::string(2'000, 'x'));
}

TEST_CASE("a connection that is cut after any number of bytes of the server is made again", "[redis][tls]") {
  TestAuthority authority;
  RedisProcess redis(tls_options(authority.redis_arguments(authority.issue_files())));
  Relay relay(redis.port(), 4096, true);
  Config config = tls_config(relay.url(), authority.ca(), 10s);
  show_certificate(config, authority.issue_files());
  for (int i = 0; i < 12; ++i) {  // the first attempts of as many workers, and some more of each
    StateWorker worker(config);
    worker.start();
    const std::size_t before = relay.connections();
    REQUIRE(worker.wait([&] { return relay.connections() >= before + 3; }));
    CHECK(worker.fatal.empty());
  }
  relay.let_pass();
  StateWorker worker(config);
  worker.ready();
  CHECK(worker.command("PING").string() == "PONG");
}

TEST_CASE("TLS is made again with a Redis that was killed and restarted", "[redis][tls]") {
  TestAuthority authority;
  RedisProcess redis(tls_options(authority.redis_arguments(authority.issue_files())));
  Config config = tls_config(redis.tcp_url(), authority.ca());
  show_certificate(config, authority.issue_files());
  StateWorker worker(config);
  worker.ready();
  Task<Reply> waiting = worker.redis().command("PING");
  ::kill(redis.pid(), SIGSTOP);
  waiting.start();
  redis.kill();
  CHECK_THROWS_AS(worker.finish(waiting), RedisUnavailable);
  redis.restart();
  REQUIRE(worker.wait([&] { return worker.state->redis_up(); }));
  CHECK(worker.command("PING").string() == "PONG");
}

// Writes that the socket does not take at once, while replies come in.
TEST_CASE("large commands and replies pass each other over TLS", "[redis][tls]") {
  TestAuthority authority;
  RedisProcess redis(tls_options(authority.redis_arguments(authority.issue_files(), "no")));
  StateWorker worker(tls_config(redis.tcp_url(), authority.ca(), 60s));
  worker.ready();
  const std::string text(1 << 20, 'y');
  for (int round = 0; round < 3; ++round) {
    std::vector<Task<Reply>> tasks;
    for (int i = 0; i < 24; ++i) {
      tasks.push_back(worker.redis().command("SET", "k" + std::to_string(i), text));
      tasks.push_back(worker.redis().command("GET", "k" + std::to_string(i)));
      tasks[tasks.size() - 2].start();
      tasks.back().start();
      if (i % 5 == 0) worker.poll();
    }
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      const Reply reply = worker.finish(tasks[i]);
      CHECK(reply.string().size() == (i % 2 == 0 ? 2 : text.size()));
    }
  }
}
