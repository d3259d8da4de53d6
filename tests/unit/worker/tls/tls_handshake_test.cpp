#include "worker/tls/tls_handshake.h"

#include <memory>
#include <string>

#include "support/catch.h"
#include "unit/worker/tls/test_tls.h"
#include "worker/server/expiry.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using pronghorn::test::MemoryClient;
using namespace std::chrono_literals;

namespace {

// The handshake of one client, with a clock that the test moves.
class Handshakes final : private RequestHandler, private ConnectionOwner {
 public:
  explicit Handshakes(std::uint32_t per_second = 0) : service_(test_credentials(), {}, per_second, *row_) {
    config_.access_log = "off";
    config_.http.header_timeout = Milliseconds(1000);
    context_.tls = &service_;
  }
  Handshakes(const Handshakes&) = delete;
  Handshakes& operator=(const Handshakes&) = delete;

  struct One {
    explicit One(Handshakes& all)
        : stream(socket, all.service_.context().new_connection(), all.service_.buffers(), all.context_.end_of_turn),
          handshake(all.context_, all, all.service_, stream, Peer{.client = {"192.0.2.1", 1}, .https = true}, false) {
      stream.report_to(handshake);
      handshake.start();
    }
    One(const One&) = delete;
    One& operator=(const One&) = delete;
    ~One() { handshake.close(); }
    void shake_hands() {
      for (std::string sent = client.sends(); !sent.empty(); sent = client.sends()) {
        if (socket.reading()) socket.send(sent);
        client.receives(socket.received());
      }
    }
    [[nodiscard]] bool open() const { return socket.ended() == MemoryStream::Ended::no; }

    MemoryStream socket;
    TlsStream stream;
    TlsHandshake handshake;
    MemoryClient client;
  };

  void pass(std::chrono::milliseconds time) {
    const ConnectionTimeouts timeouts{.header = config_.http.header_timeout,
                                      .body = {},
                                      .write = {},
                                      .keep_alive = {},
                                      .linger = Milliseconds(3000),
                                      .ping = {}};
    for (auto ticks = static_cast<std::uint64_t>(time.count()) / kTickMs; ticks > 0; --ticks) {
      expire_connections(context_, 1, timeouts, std::chrono::steady_clock::now());
      service_.tick(1);
    }
  }
  [[nodiscard]] std::uint64_t count(Count counter) const { return (*row_)[counter].load(); }

  int upgrades = 0;

 private:
  void handle(Exchange&) noexcept override {}
  void deadline_passed(Exchange&) noexcept override {}
  void refuse(Exchange&, int, std::string_view) noexcept override {}
  void closed(Connection&) noexcept override {}
  void upgraded() override { ++upgrades; }

  Config config_;
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  HttpContext context_{config_, *this, nullptr, *row_};
  TlsService service_;
};

}  // namespace

TEST_CASE("a handshake that succeeds asks to be replaced, and is counted", "[tls]") {
  Handshakes all;
  Handshakes::One one(all);
  one.shake_hands();
  CHECK(all.upgrades == 1);
  CHECK(all.count(Count::tls_full) == 1);
  CHECK(one.handshake.take_peer().client.address == "192.0.2.1");
  all.pass(5s);
  CHECK(one.open());  // its timeout is over
}

TEST_CASE("a handshake has header_timeout, whatever its client has sent", "[tls]") {
  Handshakes all;
  Handshakes::One silent(all);
  Handshakes::One slow(all);
  slow.socket.send(slow.client.sends().substr(0, 50));
  all.pass(750ms);
  CHECK(silent.open());
  all.pass(500ms);
  CHECK_FALSE(silent.open());
  CHECK_FALSE(slow.open());
  CHECK(all.count(Count::timeouts) == 2);
  CHECK(all.count(Count::limit_header_time) == 2);
  CHECK(all.count(Count::tls_failed_timed_out) == 2);
}

TEST_CASE("plain HTTP is answered in plain text, and the client has time to read it", "[tls]") {
  Handshakes all;
  Handshakes::One one(all);
  one.socket.send("GET / HTTP/1.1\r\n\r\n");
  const std::string answer = one.socket.received();
  CHECK(answer.starts_with("HTTP/1.1 400 Bad Request\r\nDate: "));  // RFC 9110 section 6.6.1
  const auto length = std::stoul(answer.substr(answer.find("Content-Length: ") + 16));
  CHECK(answer.substr(answer.find("\r\n\r\n") + 4).size() == length);
  CHECK(one.socket.fin_sent());
  CHECK(one.open());
  SECTION("it closes") {
    one.socket.finish_sending();
    CHECK_FALSE(one.open());
  }
  SECTION("it does not close") {
    all.pass(4s);
    CHECK_FALSE(one.open());
  }
  SECTION("it goes on") {
    for (int i = 0; i < 100 && one.open(); ++i) one.socket.send(std::string(1000, 'a'));
    CHECK_FALSE(one.open());
  }
  CHECK(all.count(Count::tls_failed_plain_http) == 1);
  CHECK(all.count(Count::bad_requests) == 1);
}

TEST_CASE("a client that is refused is told why before the connection ends", "[tls]") {
  Handshakes all;
  Handshakes::One one(all);
  one.socket.send(std::string("\x16\x03\x01\x00\x0chello, hello", 17));
  const std::string answer = one.socket.received();
  CHECK(answer.starts_with("\x15"));  // an alert
  CHECK(one.socket.fin_sent());
  CHECK(one.open());
  one.socket.finish_sending();
  CHECK_FALSE(one.open());
  CHECK(all.count(Count::tls_failed_malformed) == 1);
}

TEST_CASE("handshakes above the limit wait for their turn, in order, and not for ever", "[tls]") {
  Handshakes all(4);
  std::vector<std::unique_ptr<Handshakes::One>> clients;
  for (int i = 0; i < 9; ++i) clients.push_back(std::make_unique<Handshakes::One>(all));
  for (auto& each : clients) CHECK(each->socket.reading() == (&each - clients.data() < 4));
  CHECK(all.count(Count::limit_tls_handshakes) == 5);
  clients[5].reset();  // it leaves
  all.pass(250ms);
  CHECK(clients[4]->socket.reading());
  CHECK_FALSE(clients[6]->socket.reading());
  clients[4]->shake_hands();
  CHECK(all.upgrades == 1);
  all.pass(250ms);
  CHECK(clients[6]->socket.reading());
  all.pass(750ms);
  CHECK(clients[4]->open());
  CHECK_FALSE(clients[8]->open());
}

TEST_CASE("why a handshake fails is known", "[tls]") {
  const auto failure_of = [](const test::MemoryClientOptions& options) {
    TestTls tls(options);
    tls.exchange();
    static_cast<void>(tls.client.read());
    tls.exchange();
    CHECK_FALSE(tls.is_established);
    return tls.failure;
  };
  CHECK(failure_of({.version = TLS1_1_VERSION, .weak = true}) == TlsFailure::version);
  CHECK(failure_of({.version = TLS1_2_VERSION, .ciphers = "AES128-SHA", .weak = true}) == TlsFailure::cipher);
  CHECK(failure_of({.protocols = "\x02h2"}) == TlsFailure::protocol);
}

TEST_CASE("bytes that are not TLS are told from plain HTTP", "[tls]") {
  const auto failure_of = [](std::string_view bytes) {
    TestTls tls;
    tls.socket().send(bytes);
    return tls.failure;
  };
  CHECK(failure_of("GET / HTTP/1.1\r\n\r\n") == TlsFailure::plain_http);
  CHECK(failure_of("get / HTTP/1.1\r\n\r\n") == TlsFailure::plain_http);
  CHECK(failure_of(std::string(64, '\0')) == TlsFailure::malformed);
  CHECK(failure_of(std::string("\x16\x03\x01\x00\x0chello, hello", 17)) == TlsFailure::malformed);
  CHECK(failure_of(std::string("\x80\x2e\x01\x00\x02", 5) + std::string(44, '\0')).has_value());  // SSL 2.0
  CHECK_FALSE(failure_of("\x16").has_value());
}

TEST_CASE("a handshake that ends half-way, at any byte, is the client's leaving", "[tls]") {
  std::string flight;
  {
    TestTls whole({.version = TLS1_3_VERSION});
    flight = whole.client.sends();
  }
  for (std::size_t cut = 0; cut < flight.size(); cut += 1 + flight.size() / 64) {
    TestTls tls;
    if (cut > 0) tls.socket().send(std::string_view(flight).substr(0, cut));
    REQUIRE_FALSE(tls.failure.has_value());
    tls.socket().finish_sending();
    CHECK(tls.failure == TlsFailure::client_left);
  }
}

TEST_CASE("a client hello without end is refused", "[tls]") {
  TestTls tls;
  // Records of a message that says it is 16 MiB long.
  std::string record("\x16\x03\x01\x40\x00", 5);
  record += std::string("\x01\xff\xff\xff", 4) + std::string(16'380, 'a');
  for (int i = 0; i < 100 && !tls.failure; ++i) {
    tls.socket().send(record);
    record = std::string("\x16\x03\x01\x40\x00", 5) + std::string(16'384, 'a');
  }
  CHECK(tls.failure == TlsFailure::malformed);
}

TEST_CASE("the client's certificate is known when it was verified", "[tls]") {
  const test::Issued authority = test::issue({.names = {}, .common_name = "authority", .authority = true});
  const test::Issued alice =
      test::issue({.names = {"alice.example", "IP:192.0.2.7"}, .common_name = "alice", .issuer = &authority});
  TlsCredentials credentials = test_credentials();
  credentials.client = TlsClientCertificates::optional;
  credentials.client_ca = authority.certificate;
  const TlsServerContext context(credentials, {});
  TestTls tls({.certificate = &alice}, context);
  tls.exchange();
  REQUIRE(tls.is_established);
  const ClientCertificate* certificate = tls.stream().facts().certificate.get();
  REQUIRE(certificate != nullptr);
  CHECK(certificate->subject == "CN=alice");
  CHECK(certificate->issuer == "CN=authority");
  CHECK_FALSE(certificate->serial.empty());
  CHECK(certificate->fingerprint.size() == 64);
  CHECK(certificate->not_after > std::chrono::system_clock::now());
  CHECK(certificate->names == std::vector<std::string>{"DNS:alice.example", "IP:192.0.2.7"});
  TestTls none({}, context);
  none.exchange();
  CHECK(none.is_established);
  CHECK(none.stream().facts().certificate == nullptr);
}
