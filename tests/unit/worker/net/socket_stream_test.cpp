#include "worker/net/socket_stream.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/fd.h"
#include "support/catch.h"
#include "support/clients/tcp_pair.h"
#include "support/temp_dir.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using pronghorn::test::TcpPair;

namespace {

// A stream on one end of a TCP connection, whose other end is the test's.
class Served final : private StreamEvents {
 public:
  explicit Served(bool shared = false) : copy_(shared ? ::dup(pair_.server) : -1), buffer_(Ledger::kReadBuffer, '\0') {
    ::fcntl(pair_.server, F_SETFL, O_NONBLOCK);
    ::fcntl(pair_.client, F_SETFL, O_NONBLOCK);
    stream_ = std::make_unique<SocketStream>(loop_.loop(), std::exchange(pair_.server, -1),
                                             SocketStream::ReadBuffer(buffer_), std::nullopt, shared);
    stream_->report_to(*this);
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;
  ~Served() {
    stream_->close();
    loop_.run_until([this] { return closed; });
  }

  ByteStream& stream() { return *stream_; }
  void client_sends(std::string_view bytes) {
    REQUIRE(::send(pair_.client, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  void client_finishes() { ::shutdown(pair_.client, SHUT_WR); }
  // What has arrived at the client; `end` becomes "eof" or "reset" when the connection has ended.
  std::string client_receives() {
    std::string bytes(256 * 1024, '\0');
    const ssize_t size = ::recv(pair_.client, bytes.data(), bytes.size(), 0);
    if (size == 0) end = "eof";
    if (size < 0 && errno == ECONNRESET) end = "reset";
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return bytes;
  }
  // In which the client has received data: tcpi_data_segs_in, which glibc's tcp_info does not have. <linux/tcp.h> cannot
  // be included beside <uv.h>.
  [[nodiscard]] std::uint32_t segments() const {
    std::array<std::uint32_t, 64> facts{};
    socklen_t size = sizeof facts;
    REQUIRE(::getsockopt(pair_.client, IPPROTO_TCP, TCP_INFO, facts.data(), &size) == 0);
    return facts[152 / sizeof facts[0]];
  }
  // Turns the loop until the client has `size` bytes; returns them.
  std::string client_receives(std::size_t size) {
    std::string all;
    loop_.run_until([&] { return (all += client_receives()).size() >= size; });
    return all;
  }
  template <class Condition>
  void run_until(Condition condition) {
    loop_.run_until(condition);
  }

  std::string received;
  std::string end;
  int drained = 0;
  bool ended = false;
  bool broken = false;
  bool closed = false;

 private:
  void on_data(std::string_view bytes) override { received += bytes; }
  void on_end() override { ended = true; }
  void on_drained() override { ++drained; }
  void on_error() override {
    broken = true;
    stream_->close();
  }
  void on_closed() override { closed = true; }

  TestLoop loop_;
  TcpPair pair_;
  Fd copy_;  // of the server's end, as another process may hold it
  std::string buffer_;
  std::unique_ptr<SocketStream> stream_;
};

std::unique_ptr<detail::FilePart> part_of(const std::string& path, std::uint64_t length) {
  auto file = std::make_shared<const OpenFile>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return std::make_unique<detail::FilePart>(std::move(file), 0, length);
}

}  // namespace

TEST_CASE("bytes that have arrived before a stream reads are reported immediately", "[stream]") {
  Served served;
  served.client_sends("hello");
  served.stream().read_start();
  CHECK(served.received == "hello");
  served.client_sends(", again");
  served.run_until([&] { return served.received == "hello, again"; });
}

TEST_CASE("a stream that does not read leaves bytes in the kernel", "[stream]") {
  Served served;
  served.stream().read_start();
  served.stream().read_stop();
  served.client_sends("hello");
  served.run_until([&] { return served.stream().has_input(); });
  CHECK(served.received.empty());
  served.stream().read_start();
  served.run_until([&] { return served.received == "hello"; });
  CHECK_FALSE(served.stream().has_input());
}

TEST_CASE("what a client does not take is queued, and the protocol is told when the queue is empty", "[stream]") {
  Served served;
  const std::string much(16'000'000, 'a');
  served.stream().write("head", much);
  CHECK(served.stream().queued() > 0);
  CHECK(served.client_receives(much.size() + 4).size() == much.size() + 4);
  served.run_until([&] { return served.drained == 1; });
  CHECK(served.stream().queued() == 0);
  CHECK(served.stream().bytes_sent() == much.size() + 4);
}

TEST_CASE("a client's progress is what it acknowledges", "[stream]") {
  Served served;
  served.stream().write(std::string(16'000'000, 'a'));
  const std::uint64_t before = served.stream().acknowledged();
  CHECK(before < 16'000'000);
  static_cast<void>(served.client_receives(8'000'000));
  CHECK(served.stream().acknowledged() > before);
  static_cast<void>(served.client_receives(1));
  served.run_until([&] {
    static_cast<void>(served.client_receives());
    return served.stream().acknowledged() == 16'000'000;
  });
}

TEST_CASE("a file follows the head", "[stream]") {
  const test::TempDir folder;
  test::write_file(folder / "file", std::string(8'000'000, 'a'));
  Served served;
  served.stream().write_file("head", part_of(folder / "file", 8'000'000));
  const std::string received = served.client_receives(8'000'004);
  CHECK(received.starts_with("heada"));
  CHECK(received.size() == 8'000'004);
}

// The head was a segment of its own, and large files left at two thirds of nginx's rate under bbr.
TEST_CASE("a file and its head share a segment", "[stream]") {
  const test::TempDir folder;
  test::write_file(folder / "file", std::string(20'000, 'a'));  // one segment of the loopback device takes 64 KiB
  Served served;
  served.stream().write_file("head", part_of(folder / "file", 20'000));
  CHECK(served.client_receives(20'004).size() == 20'004);
  CHECK(served.segments() == 1);
}

TEST_CASE("a file that is shorter than announced breaks the stream", "[stream]") {
  const test::TempDir folder;
  test::write_file(folder / "file", "short");
  Served served;
  served.stream().write_file({}, part_of(folder / "file", 1000));
  CHECK(served.broken);
  CHECK(served.stream().file_was_short());
}

TEST_CASE("after a shutdown the client sees the end behind everything written, and can still send", "[stream]") {
  Served served;
  served.stream().read_start();
  const std::string much(16'000'000, 'a');
  served.stream().write(much);
  served.stream().shutdown();
  CHECK(served.client_receives(much.size()).size() == much.size());
  served.run_until([&] {
    static_cast<void>(served.client_receives());
    return served.end == "eof";
  });
  served.client_sends("more");
  served.run_until([&] { return served.received == "more"; });
  served.client_finishes();
  served.run_until([&] { return served.ended; });
}

TEST_CASE("a reset is seen as one, and a close as the end, whoever else holds the socket", "[stream]") {
  const bool shared = GENERATE(false, true);
  for (const bool reset : {true, false}) {
    Served served(shared);
    served.stream().write("part");
    CHECK(served.client_receives(4) == "part");
    reset ? served.stream().reset() : served.stream().close();
    served.run_until([&] {
      static_cast<void>(served.client_receives());
      return !served.end.empty();
    });
    CHECK(served.end == (reset ? "reset" : "eof"));
  }
}

TEST_CASE("a stream can be closed while bytes wait", "[stream]") {
  Served served;
  served.stream().read_start();
  served.stream().write(std::string(16'000'000, 'a'));
  served.stream().close();
  served.run_until([&] { return served.closed; });
  CHECK_FALSE(served.broken);
}
