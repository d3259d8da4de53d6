// A connection over TLS, over a socket pair: whatever a client sends before, instead of or after its handshake, the
// connection ends when the client has, and nothing is left over.
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <csignal>
#include <memory>

#include "fuzz/fuzz_target.h"
#include "pronghorn/error.h"
#include "worker/server/http_server.h"
#include "worker/tls/tls_service.h"

namespace pronghorn::fuzz::tls {

namespace {

using worker::Exchange;

// For these tests only; valid for a hundred years.
constexpr const char* kCertificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBdDCCARugAwIBAgIUIDJtPo6nQnEe7lGFVHpnp+LgmLQwCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEZnV6ejAgFw0yNjExMzAyMzE2MzlaGA8yMTI2MTEwNjIzMTYz\n"
    "OVowDzENMAsGA1UEAwwEZnV6ejBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFX9\n"
    "Xr6rjDW2HbJCUx7gl6cxbw3JBEDGNXZKrPNrGncdsaeOxUIGf4dX5OcLYDsRIP4U\n"
    "g0blmMARzl+JcujHn4+jUzBRMB0GA1UdDgQWBBSU2vYxJdh4w6MC6KpEyikJeqWE\n"
    "hzAfBgNVHSMEGDAWgBSU2vYxJdh4w6MC6KpEyikJeqWEhzAPBgNVHRMBAf8EBTAD\n"
    "AQH/MAoGCCqGSM49BAMCA0cAMEQCICA0gXsHspS70z347BofkAxkn9M7J0xpOn/Y\n"
    "LF8XQQ+7AiBGUZHkMFVtt/M4fB2pXBfx9uHJ9tjpglX8pbG93BCUig==\n"
    "-----END CERTIFICATE-----\n";
constexpr const char* kKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgyqr+SX8cdQo/JGu9\n"
    "nx8cMYOwMuNC0b2J8QJvOgdmxCihRANCAARV/V6+q4w1th2yQlMe4JenMW8NyQRA\n"
    "xjV2Sqzzaxp3HbGnjsVCBn+HV+TnC2A7ESD+FING5ZjAEc5fiXLox5+P\n"
    "-----END PRIVATE KEY-----\n";

class Greeter final : public worker::RequestHandler {
 public:
  void handle(Exchange& exchange) noexcept override { exchange.owner->respond(exchange, text("hello")); }
  void deadline_passed(Exchange&) noexcept override {}
  void refuse(Exchange& exchange, int status, std::string_view reason) noexcept override {
    exchange.owner->respond(exchange, problem(status, reason));
  }
};

// What a client does with the input; the first byte of it says which.
enum class Mode : unsigned { instead, after, encrypted, modes };

class Client {
 public:
  explicit Client(SSL_CTX* context) : ssl_(SSL_new(context), &SSL_free) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
  }
  std::string says() {
    SSL_do_handshake(ssl_.get());
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &bytes);
    std::string all(bytes, static_cast<std::size_t>(size));
    static_cast<void>(BIO_reset(SSL_get_wbio(ssl_.get())));
    return all;
  }
  void hears(std::string_view bytes) {
    if (!bytes.empty()) BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
  }
  [[nodiscard]] bool ready() const { return SSL_is_init_finished(ssl_.get()) != 0; }
  std::string encrypts(std::string_view plain) {
    SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size()));
    return says();
  }

 private:
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

class Server {
 public:
  Server() {
    std::signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop_);
    server_ = std::make_unique<worker::HttpServer>(&loop_, config_, greeter_, nullptr, *row_);
    const TlsCredentials credentials{
        .certificates = {{.file = "fuzz", .chain = kCertificate, .key = kKey, .staple = {}}},
        .client_ca = {},
        .client = TlsClientCertificates::off};
    tls_ = std::make_unique<worker::TlsService>(credentials, TlsServerContext::Options{}, 0, *row_);
    server_->use_tls(*tls_);
  }

  template <class Cut>
  void talk(Mode mode, Cut cut) {
    std::array<int, 2> ends{};
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0, "a socket pair");
    server_->adopt(ends[1], true);
    Client client(context_.get());
    if (mode != Mode::instead) shake_hands(ends[0], client);
    while (!cut.empty() && server_->connections() > 0) {
      const std::string_view piece = cut.next();
      send(ends[0], mode == Mode::encrypted ? client.encrypts(piece) : std::string(piece));
      turn(ends[0]);
    }
    ::shutdown(ends[0], SHUT_WR);
    constexpr int kMaxTurns = 100;
    for (int turns = 0; server_->connections() > 0; ++turns) {
      require(turns < kMaxTurns, "a connection ends when its client has");
      turn(ends[0]);
    }
    ::close(ends[0]);
    require((*row_)[Count::in_flight].load() == 0, "no request is left over");
  }

 private:
  void shake_hands(int fd, Client& client) {
    for (int rounds = 0; rounds < 4; ++rounds) {
      send(fd, client.says());
      client.hears(turn(fd));
    }
    require(client.ready(), "a handshake in order succeeds");
  }
  static void send(int fd, std::string_view bytes) {
    const ssize_t sent = bytes.empty() ? 0 : ::send(fd, bytes.data(), bytes.size(), 0);
    require(sent < 0 || static_cast<std::size_t>(sent) == bytes.size(), "an input fits into the socket");
  }
  std::string turn(int fd) {
    uv_run(&loop_, UV_RUN_NOWAIT);
    std::string all;
    std::array<char, 16 * 1024> bytes;
    for (ssize_t size = 1; size > 0;) {
      size = ::recv(fd, bytes.data(), bytes.size(), 0);
      if (size > 0) all.append(bytes.data(), static_cast<std::size_t>(size));
    }
    return all;
  }

  Config config_;
  Greeter greeter_;
  uv_loop_t loop_{};
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{SSL_CTX_new(TLS_client_method()), &SSL_CTX_free};
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  std::unique_ptr<worker::TlsService> tls_;
  std::unique_ptr<worker::HttpServer> server_;
};

}  // namespace

static void fuzz(std::string_view input) {
  static Server server;
  constexpr std::size_t kLongest = 8192;
  if (input.empty()) return;
  const auto mode = static_cast<Mode>(static_cast<unsigned char>(input.front()) % static_cast<unsigned>(Mode::modes));
  input = input.substr(1, kLongest);
  server.talk(mode, OnePiece(input));
  server.talk(mode, Pieces(input));
}

static std::vector<std::string> seeds() {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  const std::string hello = Client(context.get()).says();
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  std::vector<std::string> inputs;
  for (const char mode : {'\0', '\1', '\2'}) {
    for (const std::string& bytes :
         {hello, hello.substr(0, 40), get, std::string("\x16\x03\x01\x00\x05hello", 10), std::string(64, '\0'),
          std::string("\x15\x03\x03\x00\x02\x01\x00", 7), std::string("\x17\x03\x03\x00\x05hello", 10),
          std::string("\x14\x03\x03\x00\x01\x01", 6), std::string("\x18\x03\x03\x00\x03\x01\x40\x00", 8)}) {
      inputs.push_back(mode + bytes);
    }
  }
  return inputs;
}

static const Registered kRegistered({"tls", fuzz, seeds});

}  // namespace pronghorn::fuzz::tls
