#include "worker/guardian/handoff/handoff.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "support/catch.h"
#include "support/clients/tcp_pair.h"
#include "worker/net/open_file.h"
#include "worker/net/socket/socket_identity.h"

using namespace pronghorn::worker;
using pronghorn::test::TcpPair;

namespace {

struct Queue {
  Queue() { REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0); }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  [[nodiscard]] int givers() const { return ends[0]; }
  [[nodiscard]] int takers() const { return ends[1]; }
  int ends[2] = {};
};

HandoffRecord record_of(int fd) {
  HandoffRecord record;
  record.answered = 100;
  record.sent = 1000;
  record.requests = 7;
  record.identity = identity_of(fd);
  return record;
}

}  // namespace

TEST_CASE("A connection goes through the queue with its record and its unanswered bytes") {
  Queue queue;
  TcpPair pair;
  const auto inbox = std::make_unique<HandoffInbox>();
  const std::string unanswered(kMaxHandedUnanswered, 'x');
  const std::string unsent(kMaxHandedUnsent, 'y');
  REQUIRE(send_handoff(queue.givers(), {.connection = pair.server, .unanswered = unanswered, .unsent = unsent},
                       record_of(pair.server)) == HandoffSent::yes);
  pair.close_server();
  const auto taken = inbox->receive(queue.takers());
  REQUIRE(taken);
  CHECK(taken->record.reason == HandoffReason::death);
  CHECK(taken->record.answered == 100);
  CHECK(taken->record.sent == 1000);
  CHECK(taken->record.requests == 7);
  CHECK(taken->handed.unanswered == unanswered);
  CHECK(taken->handed.unsent == unsent);
  CHECK(taken->handed.file == -1);
  pair.server = taken->handed.connection;
  CHECK((::fcntl(pair.server, F_GETFD) & FD_CLOEXEC) != 0);
  inbox->done();
  pair.client_sends("still open");
  char text[11] = {};
  CHECK(::read(pair.server, text, 10) == 10);
  CHECK(std::string(text) == "still open");
}

TEST_CASE("An empty queue gives nothing, a full one takes nothing") {
  Queue queue;
  TcpPair pair;
  const auto inbox = std::make_unique<HandoffInbox>();
  CHECK_FALSE(inbox->receive(queue.takers()));
  HandoffSent last = HandoffSent::yes;
  for (int i = 0; i < 100'000 && last == HandoffSent::yes; ++i) {
    last = send_handoff(queue.givers(), {.connection = pair.server}, record_of(pair.server));
  }
  CHECK(last == HandoffSent::full);
}

TEST_CASE("What cannot be sent is refused") {
  Queue queue;
  TcpPair pair;
  CHECK(send_handoff(queue.givers(), {.connection = -1}, {}) == HandoffSent::refused);
  CHECK(send_handoff(-1, {.connection = pair.server}, {}) == HandoffSent::refused);
}

TEST_CASE("What is told of a request that ended with its worker has no descriptor") {
  Queue queue;
  const auto inbox = std::make_unique<HandoffInbox>();
  HandoffRecord record;
  record.reason = HandoffReason::lost;
  record.begun_ns = 17;
  REQUIRE(send_handoff(queue.givers(), {.unanswered = "GET / HTTP/1.1\r\n\r\n"}, record) == HandoffSent::yes);
  const auto taken = inbox->receive(queue.takers());
  REQUIRE(taken);
  CHECK(taken->record.reason == HandoffReason::lost);
  CHECK(taken->record.begun_ns == 17);
  CHECK(taken->handed.connection == -1);
  CHECK(taken->handed.unanswered == "GET / HTTP/1.1\r\n\r\n");
  inbox->done();
  record.reason = HandoffReason::death;  // which needs a connection
  CHECK(send_handoff(queue.givers(), {}, record) == HandoffSent::refused);
}

TEST_CASE("Messages that make no sense are dropped, and those behind them arrive") {
  Queue queue;
  TcpPair pair;
  const auto inbox = std::make_unique<HandoffInbox>();
  REQUIRE(::send(queue.givers(), "nonsense", 8, 0) == 8);
  HandoffRecord wrong = record_of(pair.server);
  wrong.identity += 1;
  REQUIRE(send_handoff(queue.givers(), {.connection = pair.server}, wrong) == HandoffSent::yes);
  wrong = record_of(pair.server);
  wrong.version += 1;
  REQUIRE(send_handoff(queue.givers(), {.connection = pair.server}, wrong) == HandoffSent::yes);
  REQUIRE(send_handoff(queue.givers(), {.connection = STDIN_FILENO}, record_of(pair.server)) == HandoffSent::yes);
  REQUIRE(send_handoff(queue.givers(), {.connection = pair.server, .unanswered = "abc"}, record_of(pair.server)) ==
          HandoffSent::yes);
  const auto taken = inbox->receive(queue.takers());
  REQUIRE(taken);
  CHECK(taken->handed.unanswered == "abc");
  ::close(taken->handed.connection);
  inbox->done();
  CHECK_FALSE(inbox->receive(queue.takers()));
}

TEST_CASE("The file whose rest the client is owed goes with its connection") {
  Queue queue;
  TcpPair pair;
  const auto inbox = std::make_unique<HandoffInbox>();
  HandoffRecord record = record_of(pair.server);
  record.file_offset = 3;
  record.file_bytes = 4;
  {
    const OpenFile file(memory_file("0123456789"));
    REQUIRE(file.fd() >= 0);
    REQUIRE(send_handoff(queue.givers(), {.connection = pair.server, .file = file.fd(), .unsent = "head"}, record) ==
            HandoffSent::yes);
  }
  const auto taken = inbox->receive(queue.takers());
  REQUIRE(taken);
  CHECK(taken->handed.unsent == "head");
  CHECK(taken->record.file_offset == 3);
  CHECK(taken->record.file_bytes == 4);
  std::string text;
  CHECK(OpenFile(taken->handed.file).append(text, 3, 4));
  CHECK(text == "3456");
  ::close(taken->handed.connection);
}

TEST_CASE("A record and descriptors that do not fit together are dropped") {
  Queue queue;
  TcpPair pair;
  TcpPair other;
  const auto inbox = std::make_unique<HandoffInbox>();
  HandoffRecord with_file = record_of(pair.server);
  with_file.file_bytes = 4;
  REQUIRE(send_handoff(queue.givers(), {.connection = pair.server}, with_file) == HandoffSent::yes);
  REQUIRE(send_handoff(queue.givers(), {.connection = pair.server, .file = other.server}, with_file) ==
          HandoffSent::yes);
  REQUIRE(send_handoff(queue.givers(), {.connection = pair.server, .file = other.server}, record_of(pair.server)) ==
          HandoffSent::yes);
  CHECK_FALSE(inbox->receive(queue.takers()));
}

TEST_CASE("A taker that dies before it has noted a connection leaves it behind in the inbox") {
  Queue queue;
  TcpPair pair;
  const auto inbox = std::make_unique<HandoffInbox>();
  CHECK_FALSE(inbox->left_behind());
  REQUIRE(send_handoff(queue.givers(), {.connection = pair.server, .unanswered = "abc"}, record_of(pair.server)) ==
          HandoffSent::yes);
  REQUIRE(inbox->receive(queue.takers()));
  const auto left = inbox->left_behind();
  REQUIRE(left);
  CHECK(left->handed.unanswered == "abc");
  CHECK(identity_of(left->handed.connection) == identity_of(pair.server));
  ::close(left->handed.connection);
  CHECK_FALSE(inbox->left_behind());  // closed: it was noted after all
  inbox->done();
  CHECK_FALSE(inbox->left_behind());
}
