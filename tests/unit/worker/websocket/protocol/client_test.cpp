// The client of the tests, against a server made of the parts of this folder.
#include "support/clients/websocket_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/catch.h"
#include "worker/websocket/handshake/handshake.h"
#include "worker/websocket/protocol/frame_reader.h"
#include "worker/websocket/protocol/frame_writer.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::FrameItem;
using worker::Handshake;

namespace {

using Kind = WebSocketEvent::Kind;

// Accepts one connection, shakes hands and returns every message.
class EchoServer {
 public:
  explicit EchoServer(worker::HandshakeRules rules = {}) : rules_(rules) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    auto* generic = reinterpret_cast<sockaddr*>(&name);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 1) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
      throw std::runtime_error("no listener");
    }
    address_.port = ntohs(name.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;
  ~EchoServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] const Address& address() const { return address_; }

 private:
  void serve() {
    const int fd = ::accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    const Handshake handshake = shake_hands(fd);
    if (handshake.accepted()) echo(fd, handshake);
    ::close(fd);
  }

  Handshake shake_hands(int fd) {
    std::string bytes;
    while (!bytes.ends_with("\r\n\r\n") && receive(fd, bytes)) {
    }
    worker::RequestHead head;
    head.method = "GET";
    std::string_view lines = std::string_view(bytes).substr(bytes.find("\r\n") + 2);
    for (std::size_t end = lines.find("\r\n"); end != 0; end = lines.find("\r\n")) {
      const std::size_t colon = lines.find(": ");
      head.fields[head.field_count++] = {lines.substr(0, colon), lines.substr(colon + 2, end - colon - 2)};
      lines.remove_prefix(end + 2);
    }
    Handshake handshake = answer_handshake(head, head.find("host").value_or(""), false, rules_);
    std::string response = "HTTP/1.1 " + std::to_string(handshake.status) + " X\r\n";
    for (const auto& [name, value] : handshake.fields())
      response.append(name).append(": ").append(value).append("\r\n");
    if (!handshake.accepted()) response += "Content-Length: 0\r\n";
    response += "\r\n";
    // The first frame comes in one packet with the response.
    if (handshake.accepted()) worker::FrameWriter().ping(response, "first");
    send(fd, response);
    return handshake;
  }

  static void echo(int fd, const Handshake& handshake) {
    worker::FrameMemory memory;
    worker::FrameReader reader(memory, {.deflate = handshake.deflate.has_value(), .max_message = 8 << 20});
    worker::FrameWriter writer;
    for (std::string bytes; receive(fd, bytes); bytes.clear()) {
      std::string_view rest = bytes;
      std::string out;
      for (worker::FrameStep step = reader.next(rest); step.item != FrameItem::none; step = reader.next(rest)) {
        rest.remove_prefix(step.consumed);
        if (step.item == FrameItem::text) writer.text(out, step.payload, handshake.deflate);
        if (step.item == FrameItem::binary) writer.binary(out, step.payload, handshake.deflate);
        if (step.item == FrameItem::ping) writer.pong(out, step.payload);
        if (step.item == FrameItem::pong) writer.text(out, "pong " + std::string(step.payload));
        if (step.item == FrameItem::close || step.item == FrameItem::failure)
          writer.close(out, step.code, step.payload);
      }
      send(fd, out);
      if (reader.ended()) return;
    }
  }

  static bool receive(int fd, std::string& bytes) {
    char buffer[64 * 1024];
    const ssize_t received = ::recv(fd, buffer, sizeof buffer, 0);
    if (received > 0) bytes.append(buffer, static_cast<std::size_t>(received));
    return received > 0;
  }
  static void send(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  worker::HandshakeRules rules_;
  Address address_;
  int listener_ = -1;
  std::thread thread_;
};

}  // namespace

TEST_CASE("the client talks to a server, with and without compression", "[websocket][client]") {
  for (const bool compress : {false, true}) {
    EchoServer server;
    WebSocketClient client(server.address(), "/echo", {.compress = compress});
    REQUIRE(client.open());
    CHECK(client.compresses() == compress);
    CHECK(client.receive_text() == "pong first");
    const std::string large(1 << 20, 'a');
    REQUIRE(client.send_text("Hello"));
    REQUIRE(client.send_binary(large));
    REQUIRE(client.send_ping("p"));
    CHECK(client.receive_text() == "Hello");
    const WebSocketEvent binary = client.receive();
    CHECK(binary.kind == Kind::binary);
    CHECK((binary.payload == large));
    CHECK(client.receive().describe() == "pong p");
    CHECK(client.close(4000, "bye").describe() == "close 4000 bye");
    CHECK(client.receive().describe() == "eof");
  }
}

TEST_CASE("the client shows why a server refused", "[websocket][client]") {
  {
    EchoServer server;
    WebSocketClient client(server.address(), "/echo", {.headers = {{"Origin", "http://evil.example"}}});
    CHECK_FALSE(client.open());
    CHECK(client.handshake().status == 403);
  }
  EchoServer server;
  WebSocketClient client(server.address(), "/echo", {.answer_pings = false});
  CHECK(client.receive().describe() == "ping first");
  client.send_raw("garbage");
  CHECK(client.receive().describe().starts_with("close 1002"));
}

TEST_CASE("the client's subprotocol is negotiated", "[websocket][client]") {
  const std::vector<std::string> spoken{"chat"};
  EchoServer server({.protocols = spoken});
  WebSocketClient client(server.address(), "/", {.headers = {{"Sec-WebSocket-Protocol", "chat, other"}}});
  CHECK(client.handshake().header("sec-websocket-protocol") == "chat");
  client.abort();
}
