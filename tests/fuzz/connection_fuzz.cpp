// A whole connection, over a socket pair: the same bytes must lead to the same requests and responses, however the
// network splits them, and every connection must end.
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <csignal>
#include <memory>

#include "framing/framing_cases.h"
#include "fuzz/fuzz_target.h"
#include "pronghorn/error.h"
#include "worker/http1/response_head.h"
#include "worker/server/http_server.h"

namespace pronghorn::fuzz::connection {

namespace {

using worker::Exchange;

constexpr std::uint64_t kMaxBody = 1000;

// Answers every request with its own text. Paths that begin with /unread leave the body unread, /pieces read it piece
// by piece, the others as a whole.
class Echo final : public worker::RequestHandler {
 public:
  void handle(Exchange& exchange) noexcept override {
    if (!exchange.body.set_limit(kMaxBody)) {
      exchange.owner->respond(exchange, problem(413));
    } else if (exchange.head.path.starts_with("/unread")) {
      exchange.owner->respond(exchange, text(describe(exchange)));
    } else {
      exchange.running = serve(exchange);
      exchange.running.start();
    }
  }
  void deadline_passed(Exchange&) noexcept override {}
  void refuse(Exchange& exchange, int status, std::string_view reason) noexcept override {
    exchange.running.reset();
    exchange.owner->respond(exchange, problem(status, reason));
  }

 private:
  static std::string describe(const Exchange& exchange) {
    std::string said;
    said.append(exchange.head.method).append(" ").append(exchange.head.target).append("\n");
    for (std::size_t i = 0; i < exchange.head.field_count; ++i) {
      said.append(exchange.head.fields[i].name).append("=").append(exchange.head.fields[i].value).append("\n");
    }
    return said;
  }

  static Task<std::string> read_body(Exchange& exchange) {
    if (!exchange.head.path.starts_with("/pieces")) {
      const std::string_view body = co_await exchange.request.body();
      co_return std::string(body);
    }
    std::string body;
    while (true) {
      const auto piece = co_await exchange.request.read();
      if (!piece) co_return body;
      body.append(*piece);
    }
  }

  static Task<void> serve(Exchange& exchange) {
    Response response;
    try {
      const std::string body = co_await read_body(exchange);
      require(body.size() <= kMaxBody, "a body is not larger than allowed");
      response = text(describe(exchange) + body);
    } catch (const HttpError& error) {
      response = problem(error.status());
    }
    exchange.owner->respond(exchange, std::move(response));
  }
};

class Server {
 public:
  Server() {
    std::signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop_);
    server_ = std::make_unique<worker::HttpServer>(&loop_, config_, echo_, nullptr, *row_);
  }

  // Sends the pieces of `cut`, then the end of the stream. Returns everything that was received.
  template <class Cut>
  std::string talk(Cut cut) {
    std::array<int, 2> ends{};
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0, "a socket pair");
    const int client = ends[0];
    server_->adopt(ends[1]);
    std::string answers;
    while (!cut.empty() && server_->connections() > 0) {
      send(client, cut.next());
      turn(client, answers);
    }
    ::shutdown(client, SHUT_WR);
    constexpr int kMaxTurns = 100;
    for (int turns = 0; server_->connections() > 0; ++turns) {
      require(turns < kMaxTurns, "a connection ends when its client has");
      turn(client, answers);
    }
    receive(client, answers);
    ::close(client);
    require((*row_)[Count::in_flight].load() == 0, "no request is left over");
    return answers;
  }

 private:
  static void send(int client, std::string_view piece) {
    const ssize_t sent = ::send(client, piece.data(), piece.size(), 0);
    require(sent < 0 || static_cast<std::size_t>(sent) == piece.size(), "an input fits into the socket");
  }
  static void receive(int client, std::string& answers) {
    std::array<char, 16 * 1024> bytes;
    for (ssize_t size = 1; size > 0;) {
      size = ::recv(client, bytes.data(), bytes.size(), 0);
      if (size > 0) answers.append(bytes.data(), static_cast<std::size_t>(size));
    }
  }
  void turn(int client, std::string& answers) {
    uv_run(&loop_, UV_RUN_NOWAIT);
    receive(client, answers);
  }

  Config config_;
  Echo echo_;
  uv_loop_t loop_{};
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  std::unique_ptr<worker::HttpServer> server_;
};

// Removes the fields that differ between two responses to the same request.
std::string comparable(std::string answers) {
  for (const std::string_view field : {"\r\nDate: ", "\r\nX-Request-Id: ", "\r\ntraceparent: "}) {
    for (std::size_t at = answers.find(field); at != std::string::npos; at = answers.find(field, at)) {
      answers.erase(at, answers.find("\r\n", at + 2) - at);
    }
  }
  return answers;
}

}  // namespace

static void fuzz(std::string_view input) {
  static Server server;
  // Longer inputs reach limits, and which of two limits is reached first may depend on the pieces.
  constexpr std::size_t kLongest = 4096;
  input = input.substr(0, kLongest);
  const std::string whole = comparable(server.talk(OnePiece(input)));
  const std::string in_pieces = comparable(server.talk(Pieces(input)));
  if (whole != in_pieces) std::fprintf(stderr, "whole:\n%s\n\nin pieces:\n%s\n", whole.c_str(), in_pieces.c_str());
  require(whole == in_pieces, "responses do not depend on how the network cuts the requests");
}

static std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const test::FramingCase& test : test::all_framing_cases()) {
    if (test.bytes.size() < 2000) inputs.push_back(test.bytes);
  }
  for (const char* path : {"/unread", "/pieces"}) {
    const std::string post = "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n";
    inputs.push_back(post + "Content-Length: 5\r\n\r\nhello" + test::get_with(""));
    inputs.push_back(post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + test::get_with(""));
    inputs.push_back(post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n" + test::get_with(""));
    inputs.push_back(post + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello" + test::get_with(""));
    inputs.push_back(post + "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, 'a') + "\r\n0\r\n\r\n");
  }
  return inputs;
}

static const Registered kRegistered({"connection", fuzz, seeds});

}  // namespace pronghorn::fuzz::connection
