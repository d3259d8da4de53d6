// WebSockets and server-sent events behind the real nginx and haproxy, configured as docs/proxies.md says.
#include <signal.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/clients/event_source.h"
#include "support/processes/proxy.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"
#include "support/temp_dir.h"

using namespace pronghorn::test;

namespace {

void start_nginx(Proxy& proxy, const ServerProcess& server) {
  proxy.start_nginx(with(proxy_example("nginx", "nginx"), "127.0.0.1:8080", host_and_port(server.address())));
}

void start_haproxy(Proxy& proxy, const ServerProcess& one, const ServerProcess& two) {
  const std::string text = with(proxy_example("haproxy", "haproxy"), "10.0.0.7:8080", host_and_port(one.address()));
  proxy.start_haproxy(with(text, "10.0.0.8:8080", host_and_port(two.address())));
}

// Options of a server behind that proxy.
ServerOptions behind(const std::string& section, const RedisProcess& redis, const TempDir& folder) {
  std::string options = proxy_example(section, "toml");
  if (options.find("10.0.0.5") != std::string::npos) options = with(std::move(options), "10.0.0.5", "127.0.0.1");
  write_file(folder / "pronghorn.toml", options);
  return {.workers = 2, .redis = redis.url(), .arguments = {"--config", folder / "pronghorn.toml"}};
}

// Clients in a room, and one that follows a topic as server-sent events, all through the proxy.
class Clients {
 public:
  explicit Clients(const Address& proxy) : proxy_(proxy) {
    REQUIRE(eventually(20s, [&] { return get(proxy_, "/hello").status == 200; }));
    for (int i = 0; i < 6; ++i) sockets_.emplace_back(proxy_, "lobby");
    REQUIRE(eventually(20s, [&] { return presence() == 6; }));
    publish("begin");
    follow("0");
    REQUIRE(source_->wait_for("begin"));
  }

  // Everybody says something, and hears all of it.
  void talk(const std::string& text) {
    for (std::size_t i = 0; i < sockets_.size(); ++i) sockets_[i].say(text + " from " + std::to_string(i));
    for (RoomClient& socket : sockets_) {
      for (std::size_t i = 0; i < sockets_.size(); ++i) {
        INFO(text);
        REQUIRE(socket.wait_for(text + " from " + std::to_string(i)));
      }
    }
    publish(text);
    // A stream ends with its worker. The client connects again, with the last id that it has seen.
    REQUIRE(eventually(20s, [&] {
      source_->read();
      if (source_->closed) follow(source_->id);
      return source_->has(text) || (!seen_.empty() && seen_.back() == text);
    }));
    keep();
  }
  void check_whole() {
    for (RoomClient& socket : sockets_) {
      CHECK_FALSE(socket.closed);
      CHECK(socket.gaps == 0);
      CHECK(socket.said.size() == sockets_.size() * (published_.size() - 1));
    }
    CHECK(seen_ == published_);
    CHECK(presence() == 6);
  }

 private:
  std::int64_t presence() { return get(proxy_, "/rooms/lobby/presence").json().at("sockets").get<std::int64_t>(); }
  void publish(const std::string& text) {
    REQUIRE(eventually(20s, [&] { return post(proxy_, "/live/news", text).status == 200; }));
    published_.push_back(text);
  }
  void follow(const std::string& from) {
    if (source_) keep();
    source_ = std::make_unique<EventSource>(proxy_, "/live/news", from);
  }
  void keep() {
    for (const std::string& data : source_->datas()) seen_.push_back(data);
    source_->events.clear();
  }

  Address proxy_;
  std::vector<RoomClient> sockets_;
  std::unique_ptr<EventSource> source_;
  std::vector<std::string> published_;
  std::vector<std::string> seen_;
};

void check_proxied(const Address& proxy) {
  CHECK(get(proxy, "/status").status == 404);
  CHECK(get(proxy, "/metrics").status == 404);
  CHECK(get(proxy, "/echo/socket").status == 426);
  const std::string here = host_and_port(proxy);
  CHECK(handshake_status(proxy, "/echo/socket", {{"Origin", "http://" + here}}) == 101);
  CHECK(handshake_status(proxy, "/echo/socket", {{"Origin", "https://" + here}}) == 403);
  CHECK(handshake_status(proxy, "/echo/socket", {{"Origin", "http://evil.example"}}) == 403);
  // What the client itself says of its page is not believed.
  CHECK(handshake_status(proxy, "/echo/socket",
                         {{"Origin", "http://evil.example"}, {"X-Forwarded-Host", "evil.example"}}) == 403);
}

void check_compressed(const Address& proxy) {
  WebSocketClient client(proxy, "/echo/socket", {.compress = true});
  REQUIRE(client.compresses());
  const std::string large(1 << 20, 'x');
  CHECK(client.send_text(large));
  CHECK(client.receive_text() == large);
  CHECK(client.close(4000, "done").code == 4000);
}

void survive(Clients& clients, const ServerProcess& server, const std::string& name) {
  for (const pid_t pid : server.worker_pids()) {
    REQUIRE(::kill(pid, SIGKILL) == 0);
    clients.talk(name + ": without " + std::to_string(pid));
    REQUIRE(eventually(20s, [&] { return server.worker_pids().size() == 2 && server.wait_ready(2); }));
  }
  for (const pid_t pid : server.worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
  clients.talk(name + ": after the kill of all");
  REQUIRE(server.wait_ready(2));
  REQUIRE(server.control_command({"reload", "--wait"}, 60s).status == 0);
  clients.talk(name + ": after a reload");
}

}  // namespace

TEST_CASE("behind nginx sockets go on, and server-sent events continue, when workers are killed and replaced",
          "[websocket][proxy]") {
  if (!is_installed(kNginx)) return;
  const RedisProcess redis;
  const TempDir folder;
  const ServerProcess server(behind("nginx", redis, folder));
  Proxy proxy;
  start_nginx(proxy, server);
  Clients clients(proxy.address());
  check_proxied(proxy.address());
  check_compressed(proxy.address());
  clients.talk("before");
  survive(clients, server, "nginx");
  clients.check_whole();
}

TEST_CASE("behind haproxy sockets of two machines go on when workers are killed and replaced", "[websocket][proxy]") {
  if (!is_installed(kHaproxy)) return;
  const RedisProcess redis;
  const TempDir folder;
  const ServerProcess one(behind("haproxy", redis, folder));
  const ServerProcess two(behind("haproxy", redis, folder));
  Proxy proxy;
  start_haproxy(proxy, one, two);
  Clients clients(proxy.address());
  check_proxied(proxy.address());
  check_compressed(proxy.address());
  clients.talk("before");
  survive(clients, one, "one");
  survive(clients, two, "two");
  clients.check_whole();
}
