#include "server/commands/control_client.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "common/fd.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn;
using namespace pronghorn::server;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// Answers one connection with fixed bytes, after the request's line has come; then closes it.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) {
    std::string pattern = (fs::temp_directory_path() / "pronghorn-ctl-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path().c_str(), sizeof(address.sun_path) - 1);
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
    thread_ = std::thread([this, answer = std::move(answer)] { run(answer); });
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;
  ~OneAnswer() {
    ::shutdown(fd_, SHUT_RDWR);  // ends an accept() that nobody came to
    thread_.join();
    ::close(fd_);
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  [[nodiscard]] std::string path() const { return folder_ + "/control.sock"; }
  std::string request;  // read it when ask_server has returned

 private:
  void run(const std::string& answer) {
    const int client = ::accept(fd_, nullptr, nullptr);
    if (client < 0) return;
    char byte = 0;
    while (::read(client, &byte, 1) == 1 && byte != '\n') request += byte;
    // In two pieces: the client must put them together.
    const std::size_t half = answer.size() / 2;
    (void)!::write(client, answer.data(), half);
    (void)!::write(client, answer.data() + half, answer.size() - half);
    if (answer.empty()) (void)!::read(client, &byte, 1);  // say nothing until the client leaves
    ::close(client);
  }
  std::string folder_;
  int fd_ = -1;
  std::thread thread_;
};

std::string refusal(const std::string& path) {
  try {
    (void)ask_server(path, {.command = "status"}, 200ms);
  } catch (const ControlError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a control command is one line of JSON each way", "[control_client]") {
  OneAnswer server("{\"ok\":true,\"workers\":3}\n");
  const auto answer = ask_server(server.path(), {.command = "scale", .argument = "+1", .wait = true});
  CHECK(answer.at("workers") == 3);
  CHECK(nlohmann::json::parse(server.request) ==
        nlohmann::json{{"command", "scale"}, {"argument", "+1"}, {"wait", true}});
}

TEST_CASE("the server's own refusals keep their own texts", "[control_client]") {
  const OneAnswer server("{\"ok\":false,\"error\":\"no such command\"}\n");
  CHECK(refusal(server.path()) == "no such command");
}

TEST_CASE("without a server the message names the socket and how to name another", "[control_client]") {
  CHECK(refusal("/nonexistent/control.sock") ==
        "no server answers at /nonexistent/control.sock; start one, or name its socket with --control PATH");
  CHECK(refusal("/" + std::string(200, 'x')).find("too long") != std::string::npos);
}

TEST_CASE("a server that answers nonsense, nothing or not at all is an error", "[control_client]") {
  for (const char* answer : {"nonsense\n", "[]\n", "{\"ok\":1}\n", "{\n", "\n"}) {
    const OneAnswer server(answer);
    CAPTURE(answer);
    CHECK(refusal(server.path()).find("is not that of a pronghorn server") != std::string::npos);
  }
  const OneAnswer cut("{\"ok\":true");
  CHECK(refusal(cut.path()).find("without an answer") != std::string::npos);
  const OneAnswer silent("");
  CHECK(refusal(silent.path()).find("does not answer") != std::string::npos);
}

// connect() waited for ever: "pronghorn status" of a monitoring job hung once a few before it had filled the queue.
TEST_CASE("a server whose queue is full, because it accepts nothing, is an error", "[control_client]") {
  const test::TempDir folder;
  const std::string path = folder / "control.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const Fd stopped(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(stopped.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(stopped.get(), 0) == 0);
  const Fd first(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  REQUIRE(::connect(first.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(refusal(path).find("does not answer") != std::string::npos);
}
