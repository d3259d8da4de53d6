#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/clients/tcp_pair.h"
#include "worker/net/ledger/ledger_notes.h"

using namespace pronghorn::worker;
using pronghorn::test::TcpPair;

namespace {

using Marks = std::vector<LedgerMark>;

struct Found {
  std::string state;
  Marks marks;
};

std::optional<Found> found(const Ledger& ledger, const LedgerEntry& entry) {
  std::string state(kMaxSocketState, '\0');
  Marks marks(kMaxMarks);
  const auto note = ledger.read_note(entry, state, marks);
  if (!note) return std::nullopt;
  marks.resize(note->marks);
  return Found{std::string(note->state), marks};
}

// A noted connection whose request of 10 bytes asks to become a WebSocket.
struct Socket {
  explicit Socket(Ledger& where) : ledger(where) { notes.begin(ledger, &entry, 0); }

  void read(std::string_view bytes) {
    notes.begin_read();
    std::copy(bytes.begin(), bytes.end(), ledger.read_buffer().begin());
    notes.end_read(bytes.size());
  }
  void write(std::string_view bytes) {
    notes.will_write(bytes, {}, false);
    notes.all_written();
  }
  void ask() {
    read("0123456789");
    notes.begin_request(10, 1);
  }
  void become_socket(std::string_view state, const Marks& marks = {}) {
    ask();
    REQUIRE(notes.upgrade(state, marks));
    notes.end_request();
    write("101");
    notes.settle_messages();
  }
  [[nodiscard]] std::string state() const {
    const auto note = found(ledger, entry);
    return note ? note->state : "(none)";
  }
  [[nodiscard]] Marks marks() const {
    const auto note = found(ledger, entry);
    return note ? note->marks : Marks{};
  }
  [[nodiscard]] std::string unanswered() const {
    std::string out(Ledger::kMaxUnanswered + Ledger::kReadBuffer, '\0');
    const std::uint64_t from = entry.output().answers_until;
    return ledger.copy_unanswered(entry, from, entry.read, out) ? out.substr(0, entry.read - from) : "(gone)";
  }

  Ledger& ledger;
  TcpPair pair;
  LedgerEntry& entry = *ledger.add(pair.server, {}, 0, 0);
  LedgerNotes notes;
};

struct Alone {
  Ledger ledger{Ledger::kMinimum};
  Socket socket{ledger};
};

// How many blocks can still be taken.
std::size_t free_blocks(Ledger& ledger) {
  TcpPair pair;
  LedgerEntry& entry = *ledger.add(pair.server, {}, 0, 0);
  constexpr std::size_t kOfBlock = 4084;
  const std::string bytes(kOfBlock, 'x');
  std::size_t count = 0;
  std::vector<LedgerEntry*> entries{&entry};
  for (std::uint64_t position = 0;; position += kOfBlock) {
    if (position >= Ledger::kShort) {
      entries.push_back(ledger.add(pair.server, {}, 0, 0));
      position = 0;
    }
    if (!ledger.keep_unsent(*entries.back(), position, bytes)) break;
    ++count;
  }
  for (LedgerEntry* each : entries) ledger.remove(*each);
  return count;
}

Marks numbered(std::size_t count) {
  Marks marks;
  for (std::size_t i = 0; i < count; ++i) marks.push_back({.epoch = i + 1, .offset = 1'000 + i});
  return marks;
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

}  // namespace

TEST_CASE("A connection is a WebSocket once the response that makes it one is noted") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.ask();
  REQUIRE(socket.notes.upgrade("state", Marks{{1, 7}}));
  CHECK_FALSE(socket.entry.is_socket());
  CHECK(socket.state() == "(none)");
  socket.notes.end_request();
  CHECK_FALSE(socket.entry.is_socket());
  socket.notes.will_write("101", {}, false);
  CHECK(socket.entry.is_socket());
  CHECK(socket.state() == "state");
  CHECK(socket.marks() == Marks{{1, 7}});
}

TEST_CASE("A connection that is removed leaves nothing to the next one in its place") {
  Alone alone;
  alone.socket.become_socket("state");
  alone.socket.notes.begin_close();
  alone.socket.notes.end();
  const LedgerEntry* next = alone.ledger.add(alone.socket.pair.server, {}, 100, 100);
  REQUIRE(next == &alone.socket.entry);
  CHECK_FALSE(next->is_socket());
  CHECK(next->socket_close == SocketClose::no);
  CHECK_FALSE(found(alone.ledger, *next));
}

TEST_CASE("A socket's state is replaced whole, and its marks stay") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("first", Marks{{1, 7}, {2, 8}});
  for (const std::size_t size : {0, 1, 143, 144, 145, 240, 4'000, 16'384, 5}) {
    REQUIRE(socket.notes.keep_state(pattern(size)));
    CHECK(socket.state() == pattern(size));
    CHECK(socket.marks() == Marks{{1, 7}, {2, 8}});
  }
}

TEST_CASE("A socket's state and marks are replaced together, whatever their number") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("first", Marks{{1, 7}, {2, 8}});
  for (const std::size_t count : {0, 1, 4, 5, 6, 10, 11, 64}) {
    for (const std::size_t size : {0, 150, 16'384}) {
      REQUIRE(socket.notes.keep_state(pattern(size), numbered(count)));
      CHECK(socket.state() == pattern(size));
      CHECK(socket.marks() == numbered(count));
      for (std::size_t i = 0; i < count; ++i) {
        socket.notes.mark_now(i, {.epoch = 99, .offset = i});
        REQUIRE(socket.marks()[i] == LedgerMark{99, i});
      }
    }
  }
  REQUIRE(socket.notes.keep_state("kept", Counts::now));
  CHECK(socket.marks().size() == 64);
  CHECK(socket.marks()[63] == LedgerMark{99, 63});
}

TEST_CASE("What passes the limits is not kept, and then the socket has no state until it has one that fits") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("first");
  CHECK_FALSE(socket.notes.keep_state(pattern(kMaxSocketState + 1)));
  CHECK(socket.state() == "(none)");
  CHECK(socket.entry.is_socket());
  CHECK_FALSE(socket.notes.keep_state("state", numbered(kMaxMarks + 1)));
  CHECK(socket.state() == "(none)");
  CHECK(socket.notes.keep_state("state", numbered(kMaxMarks)));
  CHECK(socket.marks() == numbered(kMaxMarks));
}

TEST_CASE("A mark counts when the output that it belongs to is noted, and not before") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("state", Marks{{1, 7}, {1, 70}});
  socket.notes.mark(0, {1, 8});
  CHECK(socket.marks() == Marks{{1, 7}, {1, 70}});
  socket.notes.mark(0, {1, 9});
  socket.notes.mark(1, {1, 71});
  CHECK(socket.marks() == Marks{{1, 7}, {1, 70}});
  socket.notes.will_write("events", {}, false);
  CHECK(socket.marks() == Marks{{1, 9}, {1, 71}});
  for (std::uint64_t offset = 10; offset < 1'000; ++offset) {
    socket.notes.mark(0, {1, offset});
    REQUIRE(socket.marks() == Marks{{1, offset - 1}, {1, 71}});
    socket.write("x");
    REQUIRE(socket.marks() == Marks{{1, offset}, {1, 71}});
  }
}

TEST_CASE("A mark without output counts at once, unless it is behind one that waits") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("state", Marks{{1, 7}});
  for (std::uint64_t offset = 8; offset < 1'000; ++offset) {
    socket.notes.mark_now(0, {1, offset});
    REQUIRE(socket.marks() == Marks{{1, offset}});
  }
  socket.notes.mark_now(0, {2, 1});  // another epoch begins anew
  CHECK(socket.marks() == Marks{{2, 1}});
  socket.notes.mark(0, {2, 2});
  for (std::uint64_t offset = 3; offset < 1'000; ++offset) socket.notes.mark_now(0, {2, offset});
  CHECK(socket.marks() == Marks{{2, 1}});
  socket.write("event");
  CHECK(socket.marks() == Marks{{2, 999}});
}

TEST_CASE("Marks that the note does not have are ignored") {
  Alone alone;
  alone.socket.notes.mark(0, {1, 1});
  alone.socket.become_socket("state", Marks{{1, 7}});
  alone.socket.notes.mark_now(1, {1, 1});
  alone.socket.notes.mark_now(1'000'000, {1, 1});
  CHECK(alone.socket.marks() == Marks{{1, 7}});
}

TEST_CASE("A state that belongs to output counts with it") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("open", Marks{{1, 7}});
  REQUIRE(socket.notes.keep_state("close sent", Counts::with_output));
  CHECK(socket.state() == "open");
  REQUIRE(socket.notes.keep_state("close sent, really", Counts::with_output));
  REQUIRE(socket.notes.keep_state("and more", Counts::now));  // builds on what waits
  CHECK(socket.state() == "open");
  socket.write("close");
  CHECK(socket.state() == "and more");
  CHECK(socket.marks() == Marks{{1, 7}});
}

TEST_CASE("State and marks that are replaced while a mark waits for its output wait as well") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("one topic", Marks{{1, 7}});
  socket.notes.mark(0, {1, 8});
  REQUIRE(socket.notes.keep_state("two topics", Marks{{1, 8}, {5, 50}}));
  CHECK(socket.state() == "one topic");
  CHECK(socket.marks() == Marks{{1, 7}});
  socket.notes.mark(1, {5, 51});
  CHECK(socket.marks() == Marks{{1, 7}});
  socket.write("both events");
  CHECK(socket.state() == "two topics");
  CHECK(socket.marks() == Marks{{1, 8}, {5, 51}});
}

TEST_CASE("An upgrade whose state is replaced before its response is noted has the last one") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.ask();
  REQUIRE(socket.notes.upgrade("first", Marks{{1, 1}}));
  REQUIRE(socket.notes.keep_state("second"));
  REQUIRE(socket.notes.keep_state("third"));
  socket.notes.end_request();
  CHECK(socket.state() == "(none)");
  socket.write("101");
  CHECK(socket.state() == "third");
  CHECK(socket.marks() == Marks{{1, 1}});
}

TEST_CASE("A socket that says little takes a sixteenth of a block, and gives all back") {
  Ledger ledger(Ledger::kMinimum);
  const std::size_t before = free_blocks(ledger);
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int i = 0; i < 160; ++i) {
    sockets.push_back(std::make_unique<Socket>(ledger));
    sockets.back()->become_socket(pattern(150), numbered(1));
    for (int changes = 0; changes < 5; ++changes) {
      REQUIRE(sockets.back()->notes.keep_state(pattern(190), numbered(1), Counts::with_output));
      sockets.back()->write("x");
      sockets.back()->notes.settle_messages();
    }
  }
  CHECK(before - free_blocks(ledger) <= 11);  // while a note is replaced there are two
  std::ranges::shuffle(sockets, std::mt19937(4711));
  for (auto& socket : sockets) socket->notes.end();
  CHECK(free_blocks(ledger) == before);
}

TEST_CASE("A ledger without room keeps no state, and keeps it again when there is room") {
  Ledger ledger(Ledger::kMinimum);
  std::vector<std::unique_ptr<Socket>> sockets;
  const std::string most = pattern(kMaxSocketState);
  do {
    sockets.push_back(std::make_unique<Socket>(ledger));
    sockets.back()->ask();
    if (!sockets.back()->notes.upgrade(most)) break;
    sockets.back()->notes.end_request();
    sockets.back()->write("101");
  } while (true);
  Socket& last = *sockets.back();
  last.notes.end_request();
  last.write("101");
  CHECK(last.entry.is_socket());
  CHECK(last.state() == "(none)");
  sockets[0]->notes.end();
  CHECK(last.notes.keep_state(most));
  CHECK(last.state() == most);
  CHECK(sockets[1]->state() == most);
}

TEST_CASE("A message is answered with the output that was written for it") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("state");
  socket.read("message!");
  socket.notes.begin_message(10);
  CHECK(socket.entry.dispatched == 11);
  socket.notes.end_messages(18);
  CHECK(socket.entry.output().answers_until == 10);
  socket.notes.will_write("reply", {}, false);
  CHECK(socket.entry.output().answers_until == 18);
}

TEST_CASE("A message without a reply is answered when the event is over, also while output waits") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("state");
  socket.notes.will_write("something long", {}, false);
  socket.notes.keep_rest("long");
  socket.read("message!");
  socket.notes.begin_message(10);
  socket.notes.end_messages(18);
  socket.notes.settle_messages();
  CHECK(socket.entry.output().answers_until == 18);
  CHECK(socket.entry.output().until == 17);
}

TEST_CASE("The part of a message that has arrived is kept, also when the one before it is not noted as handled yet") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("state");
  socket.read("message!");
  socket.notes.keep_messages("message!");
  socket.notes.begin_message(10);
  socket.notes.end_messages(18);
  socket.read("mess");
  socket.notes.keep_messages("mess");
  alone.ledger.begin_read(nullptr);
  CHECK(socket.unanswered() == "message!mess");
  socket.write("reply");
  socket.notes.settle_messages();
  CHECK(socket.unanswered() == "mess");
}

TEST_CASE("Of output that leaves piece by piece, what has left is not kept") {
  Alone alone;
  Socket& socket = alone.socket;
  socket.become_socket("state");
  const std::string frame(10'000, 'f');
  socket.notes.will_write(frame, {}, false);
  socket.notes.keep_rest(frame);
  std::uint64_t written = 3;
  for (int i = 0; i < 1'000; ++i) {  // more in total than the ledger has room for
    socket.notes.will_write(frame, {}, true);
    written += frame.size();
    socket.notes.written(written);
    REQUIRE(socket.entry.sent == written);
    std::string out(1024 * 1024, '\0');
    REQUIRE(alone.ledger.copy_unsent(socket.entry, written, socket.entry.output().until, out));
    REQUIRE(out.starts_with(frame));
  }
}

TEST_CASE("A socket that is taken up has its state, its marks and how far its end had got") {
  Ledger ledger(Ledger::kMinimum);
  TcpPair pair;
  const Marks marks = numbered(7);
  const LedgerEntry* entry = ledger.take_up(pair.server, {},
                                            {.answered = 28,
                                             .sent = 200,
                                             .unsent = "frame",
                                             .begun = Begun::again,
                                             .begun_until = 29,
                                             .identity = 4711,
                                             .socket = true,
                                             .truncated = true,
                                             .state = "state",
                                             .marks = marks});
  REQUIRE(entry != nullptr);
  CHECK(entry->is_socket());
  CHECK(entry->identity == 4711);
  CHECK(entry->socket_close == SocketClose::no);
  CHECK(entry->socket_truncated == 1);
  const auto note = found(ledger, *entry);
  REQUIRE(note);
  CHECK(note->state == "state");
  CHECK(note->marks == marks);
  const TakenUp closing{.answered = 28, .sent = 200, .socket = true, .closing = true};
  CHECK(ledger.take_up(pair.server, {}, closing)->socket_close == SocketClose::due);
  const TakenUp closed{.answered = 28, .sent = 200, .unsent = "x", .ends = true, .socket = true, .closing = true};
  CHECK(ledger.take_up(pair.server, {}, closed)->socket_close == SocketClose::done);
}

TEST_CASE("Corrupt notes of sockets are read without harm") {
  Ledger ledger(Ledger::kMinimum);
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int i = 0; i < 20; ++i) {
    sockets.push_back(std::make_unique<Socket>(ledger));
    sockets.back()->become_socket(pattern(1'000), numbered(20));
  }
  // The cells are behind the entries: one whole block at least holds nothing else.
  auto* entries = reinterpret_cast<unsigned char*>(const_cast<LedgerEntry*>(&ledger.entry(0)));
  constexpr std::size_t kPage = 4096;
  auto* cells = entries + (ledger.capacity() * sizeof(LedgerEntry) + kPage - 1) / kPage * kPage;
  std::mt19937_64 random(4711);  // the same each time
  std::string state(kMaxSocketState, '\0');
  Marks marks(kMaxMarks);
  for (int round = 0; round < 3'000; ++round) {
    for (int i = 0; i < 4; ++i) entries[random() % (20 * sizeof(LedgerEntry))] = static_cast<unsigned char>(random());
    for (int i = 0; i < 4; ++i) {
      const std::size_t cell = random() % 160 * 256;
      cells[cell + random() % 12] = static_cast<unsigned char>(random() % 4);
      cells[cell + random() % 256] = static_cast<unsigned char>(random());
    }
    for (std::uint32_t i = 0; i < 20; ++i) {
      const auto note = ledger.read_note(ledger.entry(i), state, marks);
      if (note) REQUIRE((note->state.size() <= kMaxSocketState && note->marks <= kMaxMarks));
    }
  }
}
