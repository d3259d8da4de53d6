#include "worker/net/ledger/ledger_notes.h"

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
    write(100);
    notes.all_written();
    notes.settle(true);
  }
  void write(std::size_t size) { notes.will_write(std::string(size, 'r'), {}, false); }
  // What a successor would be given; "(gone)" if that is not known.
  [[nodiscard]] std::string unanswered() const {
    std::string out(Ledger::kMaxUnanswered + Ledger::kReadBuffer, '\0');
    if (!ledger.copy_unanswered(entry, answered(), entry.read, out)) return "(gone)";
    return out.substr(0, entry.read - answered());
  }

  [[nodiscard]] std::string unsent(std::uint64_t from) const {
    std::string out(Ledger::kWriteBuffer, '\0');
    const std::uint64_t until = entry.output().answers_end;
    return ledger.copy_unsent(entry, from, until, out) ? out.substr(0, until - from) : "(gone)";
  }
  [[nodiscard]] std::uint64_t kept(const KeptBytes& bytes) const {
    const Ledger::Span span = ledger.span_of(bytes);
    return span.until - span.from;
  }
  // So the read buffer has nothing of this connection any more.
  void others_are_read() { ledger.begin_read(nullptr); }
  [[nodiscard]] std::uint64_t answered() const { return entry.output().answers_until; }
  [[nodiscard]] std::uint64_t answers_end() const { return entry.output().answers_end; }

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
  CHECK(connection.answered() == 10);
  CHECK(connection.entry.dispatched == 1);
  CHECK(connection.entry.sent == 100);
  CHECK(connection.answers_end() == 100);
  CHECK(connection.entry.requests == 1);
  CHECK(connection.unanswered().empty());
}

TEST_CASE("A request counts as answered only by a position that the whole response has been written to") {
  Connection connection;
  connection.read("0123456789");
  connection.notes.begin_request(10, 1);
  CHECK(connection.entry.dispatched == 1);
  connection.notes.end_request();
  connection.write(100);
  CHECK(connection.entry.output().until == 100);
  CHECK(connection.answered() == 10);
  CHECK(connection.answers_end() == 100);
  CHECK(connection.entry.sent == 0);
  CHECK(connection.unsent(0) == std::string(100, 'r'));
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
  CHECK(connection.kept(connection.entry.unanswered) == 5);
  connection.read("56789");
  connection.answer();
  CHECK(connection.kept(connection.entry.unanswered) == 0);
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
  connection.notes.end_request();  // its 100 bytes are gathered
  connection.notes.begin_request(10, 2);
  connection.notes.begin_response(100);
  connection.write(150);  // with the head of a streamed response
  connection.notes.all_written();
  CHECK(connection.answered() == 10);
  CHECK(connection.answers_end() == 100);
  CHECK(connection.entry.sent == 150);
  CHECK(connection.entry.dispatched == 11);
  connection.notes.settle(true);
  CHECK(connection.answers_end() == 100);
  connection.notes.end_request();
  connection.notes.settle(true);
  CHECK(connection.answered() == 20);
  CHECK(connection.answers_end() == 150);
}

TEST_CASE("An answered request whose body is still being received is not answered yet") {
  Connection connection;
  connection.read("0123456789abcde");
  connection.notes.begin_request(10, 1);
  connection.notes.begin_response(0);
  connection.write(100);
  connection.notes.all_written();
  CHECK(connection.answered() == 0);
  CHECK(connection.answers_end() == 0);
  connection.notes.consume(5);
  connection.notes.end_request();
  connection.notes.settle(true);
  CHECK(connection.answered() == 15);
  CHECK(connection.answers_end() == 100);
}

TEST_CASE("A request that ends after its last byte was written is answered when that is sent") {
  Connection connection;
  connection.read("0123456789");
  connection.notes.begin_request(10, 1);
  connection.notes.begin_response(0);
  connection.write(100);  // of a streamed response
  connection.notes.end_request();
  connection.notes.settle(false);
  connection.notes.all_written();
  CHECK(connection.answered() == 0);
  connection.notes.settle(true);
  CHECK(connection.answered() == 10);
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

TEST_CASE("What the socket had no room for is kept until it is sent") {
  Connection connection;
  connection.read("0123456789");
  connection.notes.begin_request(10, 1);
  connection.notes.end_request();
  connection.notes.will_write("abcdef", "ghij", false);
  connection.notes.keep_rest("fghij");
  connection.notes.will_write("klm", "no", true);
  TcpPair other_pair;
  LedgerNotes other;
  other.begin(connection.ledger, connection.ledger.add(other_pair.server, {}, 0, 0), 0);
  other.will_write("theirs", {}, false);
  CHECK(connection.unsent(5) == "fghijklmno");
  CHECK(connection.unsent(12) == "mno");
  connection.notes.all_written();
  CHECK(connection.entry.sent == 15);
  CHECK(connection.kept(connection.entry.unsent) == 0);
}

TEST_CASE("A write that is longer than the buffer is in blocks before it begins, and once") {
  Connection connection;
  connection.read("0123456789");
  connection.notes.begin_request(10, 1);
  connection.notes.end_request();
  const std::size_t size = 2 * Ledger::kWriteBuffer;
  connection.write(size);
  CHECK(connection.answered() == 10);
  CHECK(connection.kept(connection.entry.unsent) == size);
  connection.notes.keep_rest(std::string(100, 'r'));
  CHECK(connection.kept(connection.entry.unsent) == size);
  connection.notes.all_written();
  CHECK(connection.kept(connection.entry.unsent) == 0);
}

TEST_CASE("A file that is sent is noted with the position of its first byte, until all of it has left") {
  Connection connection;
  connection.read("0123456789");
  connection.notes.begin_request(10, 1);
  connection.notes.end_request();
  connection.notes.will_write_file("head", false, 42, 1'000, 500);
  CHECK(connection.entry.file == 42);
  CHECK(connection.ledger.extra(connection.entry).file_from == 4);
  CHECK(connection.ledger.extra(connection.entry).file_offset == 1'000);
  CHECK(connection.entry.output().until == 504);
  CHECK(connection.answered() == 10);
  connection.notes.all_written();
  CHECK(connection.entry.file == -1);
}

TEST_CASE("A response that the ledger has no room for answers its request when it has left") {
  Connection connection;
  connection.read("0123456789");
  connection.notes.begin_request(10, 1);
  connection.notes.end_request();
  connection.write(Ledger::kMinimum);
  CHECK(connection.answered() == 0);
  CHECK(connection.answers_end() == 0);
  connection.notes.all_written();
  connection.notes.settle(true);
  CHECK(connection.answered() == 10);
}

TEST_CASE("Of a request that is longer than what is kept, the beginning is kept") {
  Connection connection;
  const std::string piece(40'000, 'b');
  connection.notes.begin_request(10, 1);
  for (int i = 0; i < 4; ++i) {
    connection.read(piece);
    connection.notes.keep(piece);
  }
  CHECK(connection.ledger.span_of(connection.entry.unanswered).from == 0);
  CHECK(connection.kept(connection.entry.unanswered) == Ledger::kMaxUnanswered);
  CHECK(connection.unanswered() == "(gone)");
}

TEST_CASE("A client that never lets everything be answered keeps what is not") {
  Connection connection;
  const std::string request(1'000, 'r');
  constexpr int kWindow = 3;
  for (int i = 0; i < 200; ++i) {
    connection.read(request);
    connection.notes.keep(request);
    connection.others_are_read();
    if (i < kWindow) continue;
    connection.notes.begin_request(request.size(), 1);
    connection.notes.end_request();
    connection.write(10);
    connection.notes.all_written();
    connection.notes.settle(true);
    CHECK(connection.unanswered().size() == kWindow * request.size());
    CHECK(connection.notes.room() == Ledger::kMaxUnanswered - kWindow * request.size());
  }
}

TEST_CASE("What follows on a request that is too long is kept as soon as that is answered") {
  Connection connection;
  const std::string piece(50'000, 'b');
  connection.notes.begin_request(10, 1);
  for (int i = 0; i < 3; ++i) {
    connection.read(piece);
    connection.notes.keep(piece);
  }
  CHECK(connection.notes.room() == 0);
  connection.read("GET /");
  connection.notes.consume(3 * piece.size() - 10);
  connection.notes.keep("GET /");
  connection.others_are_read();
  connection.notes.end_request();
  connection.write(10);
  connection.notes.keep("GET /");  // which had to wait
  CHECK(connection.unanswered() == "GET /");
}

TEST_CASE("a stream below another one notes what it reads in the entry of that one", "[ledger]") {
  Connection connection;
  LedgerNotes below;
  below.begin(connection.ledger, nullptr, 0);
  below.read_for(connection.notes);
  below.begin_read();
  CHECK(connection.ledger.was_reading(connection.entry));
  std::ranges::copy(std::string_view("0123456789"), connection.ledger.read_buffer().begin());
  below.end_read(10);
  CHECK_FALSE(connection.ledger.was_reading(connection.entry));
  CHECK(connection.entry.read == 10);
  CHECK(connection.unanswered() == "0123456789");
  CHECK(below.room() == connection.notes.room());
  connection.notes.end();
  below.begin_read();
  below.end_read(5);  // for nobody
  CHECK(connection.entry.read == 10);
}

TEST_CASE("the number of the next record tells how much the kernel has encrypted", "[ledger]") {
  Connection connection;
  LedgerRecords& records = connection.ledger.extra(connection.entry).records;
  records.begin(7, 1000, 0);
  CHECK(records.written(7) == 1000);
  CHECK_FALSE(records.written(8));
  connection.notes.will_write_record(7, 1400);
  CHECK(records.written(7) == 1000);
  CHECK(records.written(8) == 1400);
  CHECK_FALSE(records.written(9));
  connection.notes.will_write_record(8, 1500);
  CHECK_FALSE(records.written(7));
  CHECK(records.written(8) == 1400);
  CHECK(records.written(9) == 1500);
}
