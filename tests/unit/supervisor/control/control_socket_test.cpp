#include "supervisor/control/control_socket.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/fd.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/system/exit_status.h"
#include "support/catch.h"

using namespace pronghorn::supervisor;
using pronghorn::Fd;

namespace {

struct Server {
  std::filesystem::path folder;
  uv_loop_t loop{};
  std::optional<ControlSocket> control;
  std::vector<std::string> requests;
  std::vector<ControlSocket::Reply> replies;  // when `answer` is off
  bool answer = true;

  Server() {
    char name[] = "/tmp/pronghorn-test-XXXXXX";
    folder = ::mkdtemp(name);
    uv_loop_init(&loop);
    control.emplace(&loop, path(), [this](const std::string& line, const ControlSocket::Reply& reply) {
      requests.push_back(line);
      if (answer) {
        reply("re:" + line);
      } else {
        replies.push_back(reply);
      }
    });
  }
  ~Server() {
    control.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    std::filesystem::remove_all(folder);
  }
  [[nodiscard]] std::string path() const { return folder / "control.sock"; }

  [[nodiscard]] Fd connect() const {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path().c_str());
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return fd;
  }
  // Turns the loop until the client has received something that ends as wanted, or its connection has ended.
  std::string receive(const Fd& fd, std::string_view end) {
    std::string text;
    const auto deadline = pronghorn::monotonic_ms() + 5'000;
    while (pronghorn::monotonic_ms() < deadline) {
      uv_run(&loop, UV_RUN_NOWAIT);
      char bytes[4096];
      const ssize_t size = ::recv(fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (size == 0) break;
      if (size > 0) text.append(bytes, static_cast<std::size_t>(size));
      if (!end.empty() && text.ends_with(end)) break;
    }
    return text;
  }
};

void send(const Fd& fd, const std::string& text) {
  REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

}  // namespace

TEST_CASE("each request line gets its answer line, in order", "[supervisor]") {
  Server server;
  const Fd client = server.connect();
  send(client, "one\ntwo\nthr");
  CHECK(server.receive(client, "two\n") == "re:one\nre:two\n");
  send(client, "ee\n");
  CHECK(server.receive(client, "three\n") == "re:three\n");
}

TEST_CASE("a request waits while the one before it is being answered", "[supervisor]") {
  Server server;
  server.answer = false;
  const Fd client = server.connect();
  send(client, "one\ntwo\n");
  while (server.requests.empty()) uv_run(&server.loop, UV_RUN_ONCE);
  CHECK(server.requests.size() == 1);
  server.replies[0]("first");
  CHECK(server.requests.size() == 2);
  server.replies[1]("second");
  CHECK(server.receive(client, "second\n") == "first\nsecond\n");
}

TEST_CASE("thousands of empty requests in one read do no harm", "[supervisor]") {
  Server server;
  const Fd client = server.connect();
  send(client, std::string(20'000, '\n') + "end\n");
  CHECK(server.receive(client, "re:end\n").ends_with("re:end\n"));
  CHECK(server.requests.size() == 20'001);
}

TEST_CASE("a request longer than 64 KiB ends the connection with the reason", "[supervisor]") {
  Server server;
  const Fd client = server.connect();
  send(client, std::string(80'000, 'x'));
  CHECK(server.receive(client, "").find("longer than 64 KiB") != std::string::npos);
  CHECK(server.requests.empty());
}

TEST_CASE("a response to a client that has disconnected is dropped", "[supervisor]") {
  Server server;
  server.answer = false;
  {
    const Fd client = server.connect();
    send(client, "one\n");
    while (server.requests.empty()) uv_run(&server.loop, UV_RUN_ONCE);
  }
  for (int i = 0; i < 10; ++i) uv_run(&server.loop, UV_RUN_NOWAIT);
  server.replies[0]("late");
  const Fd next = server.connect();
  send(next, "two\n");
  while (server.requests.size() < 2) uv_run(&server.loop, UV_RUN_ONCE);
  server.replies[1]("fine");
  CHECK(server.receive(next, "\n") == "fine\n");
  const ControlSocket::Reply kept = server.replies[1];
  server.control.reset();
  kept("after the socket has gone");
}

// It had waited while the supervisor was stopped, and its command had already told that it failed.
TEST_CASE("a request whose client has left is not carried out", "[supervisor]") {
  Server server;
  {
    const Fd left = server.connect();
    send(left, "stop\n");
  }
  const Fd patient = server.connect();
  send(patient, "status\n");
  ::shutdown(patient.get(), SHUT_WR);  // as a shell script may: it waits for the answer
  CHECK(server.receive(patient, "\n") == "re:status\n");
  CHECK(server.requests == std::vector<std::string>{"status"});
}

// Its answer was lost if it came after the end of what the client sends, as that of `reload --wait` does.
TEST_CASE("a client that sends no more gets the answers that come later, and the end", "[supervisor]") {
  Server server;
  server.answer = false;
  const Fd client = server.connect();
  send(client, "one\ntwo\n");
  ::shutdown(client.get(), SHUT_WR);
  for (int i = 0; i < 10; ++i) uv_run(&server.loop, UV_RUN_NOWAIT);
  REQUIRE(server.requests.size() == 1);
  const std::string large(1'000'000, '1');  // more than the socket takes at once
  server.replies[0](large);
  REQUIRE(server.requests.size() == 2);
  for (int i = 0; i < 10; ++i) uv_run(&server.loop, UV_RUN_NOWAIT);
  server.replies[1]("second");
  CHECK(server.receive(client, "") == large + "\nsecond\n");
  char byte = 0;
  CHECK(::recv(client.get(), &byte, 1, MSG_DONTWAIT) == 0);
}

TEST_CASE("a control socket that another server answers on is refused", "[supervisor]") {
  const Server server;
  uv_loop_t loop{};
  uv_loop_init(&loop);
  CHECK_THROWS_AS(ControlSocket(&loop, server.path(), {}), ConfigurationError);
  uv_loop_close(&loop);
}
