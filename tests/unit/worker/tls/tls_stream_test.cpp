#include "worker/tls/tls_stream.h"

#include <fcntl.h>

#include <memory>
#include <string>

#include "support/catch.h"
#include "support/temp_dir.h"
#include "unit/worker/tls/test_tls.h"
#include "worker/net/open_file.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using pronghorn::test::MemoryClient;
using pronghorn::test::TempDir;

namespace {

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

std::unique_ptr<detail::FilePart> part_of(const TempDir& folder, const std::string& bytes, std::uint64_t length) {
  const std::string path = folder / "file";
  test::write_file(path, bytes);
  auto file = std::make_shared<const OpenFile>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return std::make_unique<detail::FilePart>(std::move(file), 0, length);
}

}  // namespace

TEST_CASE("bytes pass a TLS stream in both directions", "[tls]") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  TestTls tls({.version = version});
  tls.exchange();
  REQUIRE(tls.is_established);
  CHECK(tls.stream().facts().version == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
  CHECK_FALSE(tls.stream().facts().cipher.empty());
  tls.client_writes("hello");
  CHECK(tls.received == "hello");
  tls.stream().write("head ", "body");
  CHECK(tls.client_reads() == "head body");
  CHECK(tls.stream().bytes_sent() == 9);
  CHECK(tls.stream().acknowledged() == 9);
  CHECK(tls.stream().queued() == 0);
}

TEST_CASE("a handshake and a request may arrive in pieces of any size", "[tls]") {
  const std::size_t piece = GENERATE(1U, 2U, 7U, 100U);
  TestTls tls;
  for (int rounds = 0; rounds < 6; ++rounds) {
    const std::string sent = tls.client.sends();
    for (std::size_t i = 0; i < sent.size(); i += piece) {
      tls.socket().send(std::string_view(sent).substr(i, piece));
      tls.end_turn();
    }
    tls.client.receives(tls.socket().received());
    if (tls.client.done() && rounds == 3) tls.client.write("hello");
  }
  CHECK(tls.received == "hello");
}

TEST_CASE("what arrives with the end of the handshake waits for whoever reads", "[tls]") {
  TestTls tls;
  tls.reads = false;
  tls.socket().send(tls.client.sends());
  tls.client.receives(tls.socket().received());
  REQUIRE(tls.client.done());
  tls.client.write("early bird");
  tls.exchange();
  REQUIRE(tls.is_established);
  CHECK(tls.received.empty());
  CHECK(tls.stream().has_input());
  tls.stream().read_start();
  tls.end_turn();
  CHECK(tls.received == "early bird");
  CHECK(tls.socket().reading());
}

// The socket of this stream is none, so the kernel never takes over. Until that is tried, records must have come whole.
TEST_CASE("OpenSSL goes on where the kernel cannot, wherever the first records are cut", "[tls]") {
  static const TlsServerContext kContext(test_credentials(), {.log_secret = &TrafficSecrets::log_line});
  const std::size_t piece = GENERATE(1U, 7U, 100U, 100'000U);
  TestTls tls({}, kContext, true);
  tls.reads = false;
  tls.socket().send(tls.client.sends());
  tls.client.receives(tls.socket().received());
  REQUIRE(tls.client.done());
  tls.client.write("early ");
  tls.client.write("bird");
  const std::string sent = tls.client.sends();
  for (std::size_t i = 0; i < sent.size(); i += piece) {
    tls.socket().send(std::string_view(sent).substr(i, piece));
    tls.end_turn();
  }
  REQUIRE(tls.is_established);
  CHECK_FALSE(tls.stream().by_kernel());
  CHECK(tls.received.empty());
  CHECK(tls.stream().has_input());
  tls.stream().read_start();
  tls.end_turn();
  CHECK(tls.received == "early bird");
  tls.client_writes(" catches");
  CHECK(tls.received == "early bird catches");
  tls.stream().write("worm", {});
  CHECK(tls.client_reads() == "worm");
}

TEST_CASE("a client that ends right after its handshake has ended in order, also when the kernel was to go on",
          "[tls]") {
  static const TlsServerContext kContext(test_credentials(), {.log_secret = &TrafficSecrets::log_line});
  TestTls tls({}, kContext, true);
  tls.socket().send(tls.client.sends());
  tls.client.receives(tls.socket().received());
  tls.client.write("bye");
  tls.client.close();
  tls.exchange();
  CHECK(tls.received == "bye");
  CHECK(tls.ended);
  CHECK_FALSE(tls.broken);
}

TEST_CASE("a stream that does not read keeps what has arrived and leaves the rest in the kernel", "[tls]") {
  TestTls tls;
  tls.exchange();
  tls.stops_after = 1;
  const std::string much = pattern(200'000);
  tls.client.write(much);
  tls.socket().send(tls.client.sends());
  CHECK(tls.received.size() <= TlsBuffers::kPlain);
  CHECK_FALSE(tls.socket().reading());
  while (tls.received.size() < much.size()) {
    const std::size_t before = tls.received.size();
    tls.stream().read_start();
    tls.end_turn();
    REQUIRE(tls.received.size() > before);
  }
  CHECK(tls.received == much);
}

TEST_CASE("what a client does not take waits, is counted, and follows in order", "[tls]") {
  TestTls tls;
  tls.exchange();
  tls.socket().set_room(10'000);
  const std::string much = pattern(1'000'000);
  tls.stream().write("head", much);
  CHECK(tls.stream().queued() == much.size() + 4 - tls.stream().bytes_sent());
  CHECK(tls.stream().queued() > 0);
  CHECK(tls.socket().queued() < 80'000);  // no more is encrypted than the client is about to take
  tls.stream().write("tail", {});
  std::string all;
  while (tls.stream().queued() > 0) {
    tls.socket().drain();
    if (tls.work_waits()) tls.next_turn();
    all += tls.client_reads();
  }
  all += tls.client_reads();
  CHECK(all == "head" + much + "tail");
  CHECK(tls.drained == 1);
  CHECK(tls.stream().bytes_sent() == much.size() + 8);
}

TEST_CASE("writes become few records", "[tls]") {
  TestTls tls({.version = TLS1_3_VERSION});
  tls.exchange();
  const int before = tls.client.records();
  tls.stream().write(std::string(200, 'h'), std::string(50'000, 'b'));
  CHECK(tls.client_reads().size() == 50'200);
  CHECK(tls.client.records() - before == 4);  // of 16 KiB
}

TEST_CASE("a file is sent through TLS, its head in the same record", "[tls]") {
  const TempDir folder;
  TestTls tls;
  tls.exchange();
  const std::string content = pattern(3'000'000);
  tls.stream().write_file("head", part_of(folder, content, content.size()));
  std::string all;
  while (tls.stream().queued() > 0) {  // others have their turn in between
    REQUIRE(tls.work_waits());
    tls.next_turn();
    all += tls.client_reads();
  }
  all += tls.client_reads();
  CHECK(all == "head" + content);
  CHECK(tls.drained == 1);
}

TEST_CASE("a slow client's file is read in pieces", "[tls]") {
  const TempDir folder;
  TestTls tls;
  tls.exchange();
  const std::string content = pattern(500'000);
  tls.socket().set_room(1000);
  tls.stream().write_file("", part_of(folder, content, content.size()));
  CHECK(tls.socket().queued() < 80'000);
  std::string all;
  for (int i = 0; i < 100 && tls.stream().queued() > 0; ++i) {
    tls.socket().drain();
    tls.socket().set_room(1000);
    if (tls.work_waits()) tls.next_turn();
    all += tls.client_reads();
  }
  CHECK(all == content);
}

TEST_CASE("a file that is shorter than announced breaks a TLS stream", "[tls]") {
  const TempDir folder;
  TestTls tls;
  tls.exchange();
  tls.stream().write_file("head", part_of(folder, "short", 100'000));
  CHECK(tls.broken);
  CHECK(tls.stream().file_was_short());
  static_cast<void>(tls.client_reads());
  CHECK_FALSE(tls.client.told_end());
}

TEST_CASE("the end of a TLS connection is said before its FIN, and only if everything was sent", "[tls]") {
  SECTION("shutdown") {
    TestTls tls;
    tls.exchange();
    tls.stream().write("bye", {});
    tls.stream().shutdown();
    CHECK(tls.client_reads() == "bye");
    CHECK(tls.client.told_end());
    CHECK(tls.socket().fin_sent());
  }
  SECTION("shutdown of what waits") {
    TestTls tls;
    tls.exchange();
    tls.socket().set_room(10);
    tls.stream().write("bye", {});
    tls.stream().shutdown();
    CHECK_FALSE(tls.socket().fin_sent());
    tls.socket().drain();
    CHECK(tls.client_reads() == "bye");
    CHECK(tls.client.told_end());
    CHECK(tls.socket().fin_sent());
  }
  SECTION("close") {
    TestTls tls;
    tls.exchange();
    tls.stream().close();
    static_cast<void>(tls.client_reads());
    CHECK(tls.client.told_end());
    CHECK(tls.socket().ended() == MemoryStream::Ended::closed);
  }
  SECTION("close of what waits") {
    TestTls tls;
    tls.exchange();
    tls.socket().set_room(1000);
    tls.stream().write(std::string(100'000, 'a'), {});
    tls.stream().close();
    static_cast<void>(tls.client_reads());
    CHECK_FALSE(tls.client.told_end());
  }
  SECTION("reset") {
    TestTls tls;
    tls.exchange();
    tls.stream().reset();
    static_cast<void>(tls.client_reads());
    CHECK_FALSE(tls.client.told_end());
    CHECK(tls.socket().ended() == MemoryStream::Ended::reset);
  }
}

TEST_CASE("a client's close_notify is the end of what it sends, a FIN without it is a broken connection", "[tls]") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  TestTls tls({.version = version});
  tls.exchange();
  tls.client.write("last words");
  SECTION("in order") {
    tls.client.close();
    tls.exchange();
    CHECK(tls.received == "last words");
    CHECK(tls.ended);
    CHECK_FALSE(tls.broken);
    tls.stream().write("answer", {});
    CHECK(tls.client_reads() == "answer");
    tls.ended = false;
    tls.stream().read_start();  // by a WebSocket, to which the connection has been upgraded since
    tls.exchange();
    CHECK(tls.ended);
  }
  SECTION("cut short") {
    tls.exchange();
    tls.socket().finish_sending();
    CHECK(tls.received == "last words");
    CHECK_FALSE(tls.ended);
    CHECK(tls.broken);
  }
}

TEST_CASE("bytes that are not what the client has encrypted break the connection", "[tls]") {
  TestTls tls;
  tls.exchange();
  tls.client.write("hello");
  std::string sent = tls.client.sends();
  sent[sent.size() - 3] = static_cast<char>(sent[sent.size() - 3] ^ 1);
  tls.socket().send(sent);
  CHECK(tls.broken);
  CHECK(tls.received.empty());
  tls.client.receives(tls.socket().received());
  static_cast<void>(tls.client.read());
  CHECK(tls.client.failure() == "sslv3 alert bad record mac");
}

TEST_CASE("a client that does not read cannot make the server gather answers to its questions", "[tls]") {
  TestTls tls({.version = TLS1_3_VERSION});
  tls.exchange();
  tls.socket().set_room(0);
  for (int i = 0; i < 5000 && !tls.broken; ++i) {
    SSL_key_update(tls.client.ssl(), SSL_KEY_UPDATE_REQUESTED);
    tls.client.write("x");
    tls.socket().send(tls.client.sends());
  }
  CHECK(tls.socket().queued() < 64 * 1024);
}

TEST_CASE("keys are exchanged anew in a connection of TLS 1.3 when the client asks", "[tls]") {
  TestTls tls({.version = TLS1_3_VERSION});
  tls.exchange();
  for (int i = 0; i < 3; ++i) {
    SSL_key_update(tls.client.ssl(), SSL_KEY_UPDATE_REQUESTED);
    tls.client_writes("a");
    tls.stream().write("b", {});
    CHECK(tls.client_reads() == "b");
  }
  CHECK(tls.received == "aaa");
}

TEST_CASE("a client of TLS 1.2 cannot renegotiate", "[tls]") {
  TestTls tls({.version = TLS1_2_VERSION});
  tls.exchange();
  SSL_renegotiate(tls.client.ssl());
  SSL_do_handshake(tls.client.ssl());
  tls.exchange();
  static_cast<void>(tls.client.read());
  CHECK(tls.client.failure() == "no renegotiation");
}
