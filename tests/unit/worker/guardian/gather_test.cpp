#include "worker/guardian/gather.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "support/catch.h"
#include "support/clients/tcp_pair.h"
#include "support/eventually.h"
#include "worker/guardian/guardian.h"
#include "worker/net/ledger/ledger_notes.h"
#include "worker/net/open_file.h"

using namespace pronghorn::worker;
using namespace std::chrono_literals;
using pronghorn::test::eventually;
using pronghorn::test::TcpPair;

namespace {

using Marks = std::vector<LedgerMark>;

// A WebSocket of this process, the queue, and what a worker has that takes from it.
struct Socket {
  Socket() {
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, queue) == 0);
    notes.begin(ledger, &entry, 0);
    client_sends("handshake!");
    notes.begin_request(10, 1);
    REQUIRE(notes.upgrade("state", Marks{{1, 7}, {2, 8}}));
    notes.end_request();
    write("101");
    notes.settle_messages();
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    ::close(queue[0]);
    ::close(queue[1]);
    if (taken) drop(taken->handed);
  }

  void client_sends(const std::string& bytes) {
    pair.client_sends(bytes);
    notes.begin_read();
    const ssize_t size = ::recv(pair.server, ledger.read_buffer().data(), Ledger::kReadBuffer, 0);
    REQUIRE(size == static_cast<ssize_t>(bytes.size()));
    notes.end_read(bytes.size());
    notes.keep_messages(bytes);
  }
  void write(const std::string& bytes) {
    notes.will_write(bytes, {}, false);
    REQUIRE(::send(pair.server, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    notes.all_written();
  }
  // What the kernel does not take at once.
  void owe(const std::string& bytes) {
    notes.will_write(bytes, {}, owed);
    if (!std::exchange(owed, true)) notes.keep_rest(bytes);
  }
  // What the next worker receives.
  const HandoffInbox::Taken* take() {
    taken = inbox->receive(queue[1]);
    return taken ? &*taken : nullptr;
  }
  void hand_over() {
    hand_over_all({.ledger = &ledger, .inbox = unused_inbox.get(), .queue = queue[0], .row = row.get()}, 0);
    pair.server = -1;
  }

  Ledger ledger{8 * 1024 * 1024};
  TcpPair pair;
  LedgerEntry& entry = *ledger.add(pair.server, {}, 0, 0);
  LedgerNotes notes;
  int queue[2] = {};
  std::unique_ptr<HandoffInbox> inbox = std::make_unique<HandoffInbox>();
  std::unique_ptr<HandoffInbox> unused_inbox = std::make_unique<HandoffInbox>();
  std::unique_ptr<pronghorn::GuardianRow> row = std::make_unique<pronghorn::GuardianRow>();
  std::optional<HandoffInbox::Taken> taken;
  bool owed = false;
};

Marks marks_of(const HandoffInbox::Taken& taken) { return {taken.handed.marks.begin(), taken.handed.marks.end()}; }

}  // namespace

TEST_CASE("A WebSocket of a dead worker arrives with its state, its marks, its messages and its output") {
  Socket socket;
  socket.client_sends("message1message2");
  socket.notes.begin_message(10);
  socket.notes.mark(0, {1, 8});
  socket.owe("event");
  socket.hand_over();
  const auto* taken = socket.take();
  REQUIRE(taken != nullptr);
  CHECK(taken->record.reason == HandoffReason::death);
  CHECK(taken->record.socket == 1);
  CHECK(taken->record.closing == 0);
  CHECK(taken->record.truncated == 0);
  CHECK(begun_at(taken->record.begun, taken->record.begun_until, 10) == Begun::again);
  CHECK(begun_at(taken->record.begun, taken->record.begun_until, 18) == Begun::no);
  CHECK(taken->handed.state == "state");
  CHECK(marks_of(*taken) == Marks{{1, 8}, {2, 8}});
  CHECK(taken->handed.unanswered == "message1message2");
  CHECK(taken->handed.unsent == "event");
  CHECK(taken->record.sent == 3);
  CHECK(socket.row->handed_over == 1);
  CHECK(socket.row->sockets == 1);
  CHECK(socket.row->messages_again == 1);
  CHECK(socket.row->sockets_refused == 0);
  CHECK(socket.row->finished == 0);
  CHECK(socket.row->run_again == 0);
}

TEST_CASE("A WebSocket goes from worker to worker with all that it has") {
  Socket socket;
  socket.client_sends("mess");
  socket.owe("event");
  socket.hand_over();
  REQUIRE(socket.take() != nullptr);
  Ledger second(Ledger::kMinimum);
  const int fd = std::exchange(socket.taken->handed.connection, -1);
  REQUIRE(second.take_up(fd, socket.taken->record.peer, taken_up(*socket.taken)) != nullptr);
  hand_over_all(
      {.ledger = &second, .inbox = socket.unused_inbox.get(), .queue = socket.queue[0], .row = socket.row.get()}, 0);
  const auto* taken = socket.take();
  REQUIRE(taken != nullptr);
  CHECK(taken->record.socket == 1);
  CHECK(taken->handed.state == "state");
  CHECK(marks_of(*taken) == Marks{{1, 7}, {2, 8}});
  CHECK(taken->handed.unanswered == "mess");
  CHECK(taken->handed.unsent == "event");
  CHECK(socket.row->handed_over == 2);
}

TEST_CASE("A WebSocket whose client has reset the connection arrives, to be closed by its handler") {
  Socket socket;
  socket.owe("event");
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.pair.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket.pair.close_client();
  REQUIRE(eventually(5s, [&] { return positions_of(socket.pair.server)->broken; }));
  socket.hand_over();
  const auto* taken = socket.take();
  REQUIRE(taken != nullptr);
  CHECK(taken->record.socket == 1);
  CHECK(taken->handed.state == "state");
  CHECK(taken->handed.unsent.empty());
  char byte = 0;
  CHECK(::recv(taken->handed.connection, &byte, 1, 0) <= 0);
  // The next one knows it as well, and passes it on.
  Ledger second(Ledger::kMinimum);
  const int fd = std::exchange(socket.taken->handed.connection, -1);
  LedgerEntry* entry = second.take_up(fd, socket.taken->record.peer, taken_up(*socket.taken));
  REQUIRE(entry != nullptr);
  entry->socket_close = SocketClose::begun;
  hand_over_all(
      {.ledger = &second, .inbox = socket.unused_inbox.get(), .queue = socket.queue[0], .row = socket.row.get()}, 0);
  REQUIRE(socket.take() != nullptr);
  CHECK(socket.taken->record.closing == 1);
  CHECK(socket.taken->record.begun == Begun::again);
}

TEST_CASE("A WebSocket in the middle of a long message arrives with what has come of it") {
  Socket socket;
  std::string message;
  for (int i = 0; i < 40; ++i) {
    const std::string piece(40'000, static_cast<char>('a' + i % 26));
    socket.client_sends(piece);
    message += piece;
  }
  REQUIRE(socket.notes.keeps_all_messages());
  socket.owe("event");
  SECTION("when its worker was killed") {
    socket.hand_over();
    CHECK(socket.row->sockets_refused == 0);
  }
  SECTION("when its worker leaves") {
    REQUIRE(give_away(socket.ledger, socket.entry, socket.queue[0]) == HandoffSent::yes);
  }
  const auto* taken = socket.take();
  REQUIRE(taken != nullptr);
  CHECK(taken->record.truncated == 0);
  CHECK(taken->record.answered == 10);
  CHECK(taken->handed.unanswered.empty());
  CHECK(taken->handed.unsent == "event");
  CHECK(taken->record.messages_bytes == message.size());
  std::string bytes;
  CHECK(OpenFile(std::exchange(socket.taken->handed.messages, -1)).append(bytes, 0, message.size()));
  CHECK((bytes == message));
}

TEST_CASE("A WebSocket for whose message the ledger has no room arrives, and stays truncated") {
  Socket socket;
  const std::string piece(40'000, 'm');
  for (int i = 0; i < 100; ++i) socket.client_sends(piece);
  CHECK_FALSE(socket.notes.keeps_all_messages());
  socket.ledger.begin_read(nullptr);
  socket.hand_over();
  REQUIRE(socket.take() != nullptr);
  CHECK(socket.taken->record.truncated == 1);
  CHECK(socket.taken->record.answered == 4'000'010);
  CHECK(socket.taken->handed.unanswered.empty());
  CHECK(socket.taken->handed.messages == -1);
  CHECK(socket.row->sockets_refused == 1);
  Ledger second(Ledger::kMinimum);
  const int fd = std::exchange(socket.taken->handed.connection, -1);
  REQUIRE(second.take_up(fd, socket.taken->record.peer, taken_up(*socket.taken)) != nullptr);
  hand_over_all(
      {.ledger = &second, .inbox = socket.unused_inbox.get(), .queue = socket.queue[0], .row = socket.row.get()}, 0);
  REQUIRE(socket.take() != nullptr);
  CHECK(socket.taken->record.truncated == 1);
}

TEST_CASE("A WebSocket whose output the ledger does not hold ends, and no request is reported as lost") {
  Socket socket;
  socket.owe(std::string(4'000'000, 'f'));
  socket.client_sends("message");
  socket.notes.begin_message(10);
  socket.hand_over();
  CHECK(socket.take() == nullptr);
  CHECK(socket.row->lost == 1);
  CHECK(socket.row->cut == 0);
}

TEST_CASE("A WebSocket whose state could not be kept ends") {
  Socket socket;
  CHECK_FALSE(socket.notes.keep_state(std::string(kMaxSocketState + 1, 's')));
  socket.hand_over();
  CHECK(socket.take() == nullptr);
  CHECK(socket.row->lost == 1);
}

TEST_CASE("What a message has no room for beside state and marks goes as a file") {
  for (const std::size_t size :
       {std::size_t{55'000}, std::size_t{60'000}, std::size_t{500'000}, std::size_t{2'000'000}}) {
    Socket socket;
    const Marks marks(kMaxMarks, {3, 4});
    const std::string state(kMaxSocketState, 's');
    REQUIRE(socket.notes.keep_state(state, marks));
    std::string frames(size, 'f');
    socket.owe(frames);
    socket.hand_over();
    const auto* taken = socket.take();
    REQUIRE(taken != nullptr);
    CHECK(taken->handed.state == state);
    CHECK(marks_of(*taken) == marks);
    CHECK((taken->handed.file >= 0) == (size + state.size() + marks.size() * sizeof(LedgerMark) > kMaxHandedUnsent));
    std::string bytes(taken->handed.unsent);
    if (taken->handed.file >= 0) {
      CHECK(OpenFile(std::exchange(socket.taken->handed.file, -1)).append(bytes, 0, taken->record.file_bytes));
    }
    CHECK((bytes == frames));
  }
}

TEST_CASE("The largest message that a WebSocket makes passes the queue") {
  Socket socket;
  const std::string unanswered(kMaxHandedUnanswered, 'm');
  const std::string state(kMaxSocketState, 's');
  const Marks marks(kMaxMarks, {3, 4});
  const std::string unsent(kMaxHandedUnsent - state.size() - marks.size() * sizeof(LedgerMark), 'f');
  HandoffRecord record;
  record.socket = 1;
  record.answered = record.sent = 1;
  record.identity = socket.entry.identity;
  const Handed handed{
      .connection = socket.pair.server, .unanswered = unanswered, .unsent = unsent, .marks = marks, .state = state};
  REQUIRE(send_handoff(socket.queue[0], handed, record) == HandoffSent::yes);
  const auto* taken = socket.take();
  REQUIRE(taken != nullptr);
  CHECK(taken->handed.unanswered == unanswered);
  CHECK(taken->handed.unsent == unsent);
  CHECK(taken->handed.state == state);
  CHECK(marks_of(*taken) == marks);
}

TEST_CASE("Records of WebSockets that make no sense are dropped") {
  Socket socket;
  const Marks many(kMaxMarks + 1);
  const std::string long_state(kMaxSocketState + 1, 's');
  HandoffRecord record;
  record.identity = socket.entry.identity;
  record.answered = record.sent = 1;
  record.socket = 1;
  const int fd = socket.pair.server;
  const auto sends = [&](const Handed& handed, const HandoffRecord& with) {
    REQUIRE(send_handoff(socket.queue[0], handed, with) == HandoffSent::yes);
    return socket.take() != nullptr;
  };
  CHECK_FALSE(sends({.connection = fd, .marks = many}, record));
  CHECK_FALSE(sends({.connection = fd, .state = long_state}, record));
  HandoffRecord wrong = record;
  wrong.socket = 2;
  CHECK_FALSE(sends({.connection = fd}, wrong));
  wrong = record;
  wrong.answered = 0;
  CHECK_FALSE(sends({.connection = fd}, wrong));
  wrong = record;
  wrong.closing = 7;
  CHECK_FALSE(sends({.connection = fd}, wrong));
  wrong = record;
  wrong.socket = 0;
  CHECK_FALSE(sends({.connection = fd, .state = "state"}, wrong));
  wrong = record;
  wrong.identity ^= 1;
  CHECK_FALSE(sends({.connection = fd}, wrong));
  CHECK(sends({.connection = fd, .state = "state"}, record));
}

TEST_CASE("A worker that leaves gives a WebSocket away with the output that waits") {
  Socket socket;
  socket.client_sends("mess");
  socket.owe("event");
  REQUIRE(give_away(socket.ledger, socket.entry, socket.queue[0]) == HandoffSent::yes);
  CHECK(socket.entry.state == LedgerState::leaving);
  const auto* taken = socket.take();
  REQUIRE(taken != nullptr);
  CHECK(taken->record.reason == HandoffReason::drain);
  CHECK(taken->record.begun == Begun::no);
  CHECK(taken->handed.state == "state");
  CHECK(taken->handed.unanswered == "mess");
  CHECK(taken->handed.unsent == "event");
}

TEST_CASE("A WebSocket that cannot be given away whole stays") {
  Socket socket;
  const std::string piece(60'000, 'm');
  for (int i = 0; i < 70; ++i) socket.client_sends(piece);
  socket.ledger.begin_read(nullptr);
  CHECK(give_away(socket.ledger, socket.entry, socket.queue[0]) == HandoffSent::refused);
  CHECK(socket.entry.state == LedgerState::open);
  socket.notes.end_messages(4'200'010);
  socket.notes.settle_messages();
  while (::send(socket.queue[0], "full", 4, 0) == 4) {
  }
  CHECK(give_away(socket.ledger, socket.entry, socket.queue[0]) == HandoffSent::full);
  CHECK(socket.entry.state == LedgerState::open);
}
