#include "worker/net/ledger_notes.h"

#include <algorithm>
#include <string>

#include "support/catch.h"
#include "support/clients/tcp_pair.h"

using namespace pronghorn::worker;
using pronghorn::test::TcpPair;

namespace {

// A noted connection whose client sends requests, of 10 bytes each, and gets responses of 100.
struct Connection {
  Connection() { notes.begin(ledger, &entry, 0); }

  void read(std::string_view bytes) {
    notes.begin_read();
    std::copy(bytes.begin(), bytes.end(), ledger.read_buffer().begin());
    notes.end_read(bytes.size());
  }
  void answer() {
    notes.begin_request(10, ++requests);
    notes.end_request();
    notes.will_write(100);
    notes.all_written();
    notes.settle(true);
  }
  // What a successor would be given; "(gone)" if that is not known.
  [[nodiscard]] std::string unanswered() const {
    std::string out(Ledger::kMaxSaved + Ledger::kReadBuffer, '\0');
    if (!ledger.copy_unanswered(entry, entry.answered, entry.read, out)) return "(gone)";
    return out.substr(0, entry.read - entry.answered);
  }

  Ledger ledger{Ledger::kMinimum};
  TcpPair pair;
  LedgerEntry& entry = *ledger.add(pair.server, {}, 0, 0);
  LedgerNotes notes;
  std::uint32_t requests = 0;
};

}  // namespace

TEST_CASE("An answered request leaves a connection that owes nothing") {
  Connection connection;
  connection.read("0123456789");
  connection.answer();
  CHECK(connection.entry.answered == 10);
  CHECK(connection.entry.dispatched == 1);
  CHECK(connection.entry.sent == 100);
  CHECK(connection.entry.answered_end == 100);
  CHECK(connection.entry.requests == 1);
  CHECK(connection.unanswered().empty());
}

TEST_CASE("A request counts as answered only by a position that the whole response has been written to") {
  Connection connection;
  connection.read("0123456789");
  connection.notes.begin_request(10, 1);
  CHECK(connection.entry.dispatched == 1);
  connection.notes.end_request();
  connection.notes.will_write(100);
  CHECK(connection.entry.sending_until == 100);
  CHECK(connection.entry.answers_until == 10);
  CHECK(connection.entry.answered == 0);
  CHECK(connection.entry.sent == 0);
}

TEST_CASE("The beginning of a head is kept over reads of other connections") {
  Connection connection;
  TcpPair other_pair;
  LedgerNotes other;
  other.begin(connection.ledger, connection.ledger.add(other_pair.server, {}, 0, 0), 0);
  connection.read("GET /");
  connection.notes.keep("GET /");
  other.begin_read();
  std::ranges::fill(connection.ledger.read_buffer(), 'x');
  other.end_read(100);
  CHECK(connection.unanswered() == "GET /");
  connection.read("hello");
  connection.notes.keep("hello");
  other.begin_read();
  CHECK(connection.unanswered() == "GET /hello");
}

TEST_CASE("A connection that is not noted reads into the buffer without spoiling another's") {
  Connection connection;
  connection.read("GET /");
  LedgerNotes other;
  other.begin(connection.ledger, nullptr, 0);
  other.begin_read();
  CHECK(connection.unanswered() == "(gone)");
}

TEST_CASE("What was kept is given back once it is answered") {
  Connection connection;
  connection.read("01234");
  connection.notes.keep("01234");
  CHECK(connection.entry.saved == 5);
  connection.read("56789");
  connection.answer();
  CHECK(connection.entry.saved == 0);
  CHECK(connection.unanswered().empty());
}

TEST_CASE("A client that never lets everything be answered is kept all the same") {
  Connection connection;
  const std::string half_and_half = "5678901234";
  connection.read("01234");
  connection.notes.keep("01234");
  for (int i = 0; i < 20'000; ++i) {
    connection.read(half_and_half);
    connection.answer();
    connection.notes.keep(half_and_half);
    REQUIRE(connection.unanswered() == "01234");
  }
}

TEST_CASE("The beginning of a response belongs to no request that is answered") {
  Connection connection;
  connection.read("01234567890123456789");
  connection.notes.begin_request(10, 1);
  connection.notes.begin_response(0);
  connection.notes.end_request();  // its 100 bytes are gathered
  connection.notes.begin_request(10, 2);
  connection.notes.begin_response(100);
  connection.notes.will_write(150);  // with the head of a streamed response
  connection.notes.all_written();
  CHECK(connection.entry.answered == 10);
  CHECK(connection.entry.answered_end == 100);
  CHECK(connection.entry.sent == 150);
  CHECK(connection.entry.dispatched == 11);
  connection.notes.settle(true);
  CHECK(connection.entry.answered_end == 100);
  connection.notes.end_request();
  connection.notes.settle(true);
  CHECK(connection.entry.answered == 20);
  CHECK(connection.entry.answered_end == 150);
}

TEST_CASE("An answered request whose body is still being received is not answered yet") {
  Connection connection;
  connection.read("0123456789abcde");
  connection.notes.begin_request(10, 1);
  connection.notes.begin_response(0);
  connection.notes.will_write(100);
  connection.notes.all_written();
  CHECK(connection.entry.answered == 0);
  CHECK(connection.entry.answered_end == 0);
  connection.notes.consume(5);
  connection.notes.end_request();
  connection.notes.settle(true);
  CHECK(connection.entry.answered == 15);
  CHECK(connection.entry.answered_end == 100);
}

TEST_CASE("A request that ends after its last byte was written is answered when that is sent") {
  Connection connection;
  connection.read("0123456789");
  connection.notes.begin_request(10, 1);
  connection.notes.will_write(100);  // of a streamed response
  connection.notes.end_request();
  connection.notes.settle(false);
  CHECK(connection.entry.answered == 0);
  connection.notes.all_written();
  CHECK(connection.entry.answered == 10);
}

TEST_CASE("A last request is noted before its response") {
  Connection connection;
  connection.read("0123456789");
  connection.answer();
  connection.read("0123456789");
  connection.notes.begin_request(10, 2);
  connection.notes.ends_with_request();
  CHECK(connection.entry.ends_at == 11);
}
