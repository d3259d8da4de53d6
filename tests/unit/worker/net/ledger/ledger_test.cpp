#include "worker/net/ledger/ledger.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/clients/tcp_pair.h"

using namespace pronghorn::worker;
using pronghorn::test::TcpPair;

namespace {

Peer someone() {
  Peer peer;
  peer.client = {"192.0.2.7", 4711};
  peer.loopback = true;
  return peer;
}

// Everything from `from` to `until`, or "(gone)".
std::string unanswered(const Ledger& ledger, const LedgerEntry& entry, std::uint64_t from, std::uint64_t until) {
  std::string out(until - from, '\0');
  return ledger.copy_unanswered(entry, from, until, out) ? out : "(gone)";
}

std::string unsent(const Ledger& ledger, const LedgerEntry& entry, std::uint64_t from, std::uint64_t until) {
  std::string out(Ledger::kWriteBuffer, '\0');
  if (!ledger.copy_unsent(entry, from, until, out)) return "(gone)";
  return out.substr(0, until - from);
}

// As the loop does when the socket has these bytes.
void read(Ledger& ledger, LedgerEntry& entry, std::string_view bytes) {
  ledger.begin_read(&entry);
  std::copy(bytes.begin(), bytes.end(), ledger.read_buffer().begin());
  ledger.end_read(entry, bytes.size());
}

struct Noted {
  Ledger ledger{Ledger::kMinimum};
  TcpPair pair;
  LedgerEntry& entry = *ledger.add(pair.server, LedgerPeer::of(someone()), 0, 0);
};

// How many unanswered bytes are in blocks.
std::uint64_t kept(const Noted& noted) {
  const Ledger::Span span = noted.ledger.span_of(noted.entry.unanswered);
  return span.until - span.from;
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

}  // namespace

TEST_CASE("A ledger knows who the peer of a connection is") {
  for (const char* address : {"192.0.2.7", "255.255.255.255", "2001:db8::1", "::1", "unix", "unknown",
                              "2001:db8:1234:5678:9abc:def0:1234:5678"}) {
    Peer peer;
    peer.client = {address, 65'535};
    peer.loopback = true;
    peer.unix_socket = true;
    for (const LedgerPeer& noted : {LedgerPeer::of(peer), LedgerPeer::of(peer, pronghorn::parse_ip_address(address))}) {
      const Peer read = noted.to_peer();
      CHECK(read.client.address == address);
      CHECK(read.client.port == 65'535);
      CHECK((read.loopback && read.unix_socket && !read.https));
    }
  }
}

TEST_CASE("A connection that is taken up has its unanswered bytes, and what is known of them") {
  Ledger ledger(Ledger::kMinimum);
  TcpPair pair;
  const LedgerEntry* entry = ledger.take_up(pair.server, LedgerPeer::of(someone()),
                                            {.answered = 28,
                                             .unanswered = "GET /",
                                             .sent = 7,
                                             .unsent = "llo",
                                             .ends = true,
                                             .begun = Begun::again,
                                             .begun_until = 29,
                                             .requests = 3,
                                             .opened_ms = 4711});
  REQUIRE(entry != nullptr);
  CHECK(entry->state == LedgerState::open);
  CHECK(entry->output().answers_until == 28);
  CHECK(entry->output().until == 10);
  CHECK(entry->output().answers_end == 10);
  CHECK(entry->read == 33);
  CHECK(entry->sent == 7);
  CHECK(entry->ends_at == 28);
  CHECK(entry->requests == 3);
  CHECK(entry->opened_ms == 4711);
  CHECK(entry->ends_at == 28);
  CHECK(entry->requests == 3);
  CHECK(entry->opened_ms == 4711);
  CHECK(entry->begun == Begun::again);
  CHECK(entry->begun_until == 29);
  CHECK(unanswered(ledger, *entry, 28, 33) == "GET /");
  CHECK(unsent(ledger, *entry, 7, 10) == "llo");
}

TEST_CASE("One connection is blamed for the end of the worker") {
  Noted noted;
  CHECK_FALSE(noted.ledger.is_guilty(noted.entry));
  noted.ledger.blame(&noted.entry, {.worker = 7, .number = 3});
  CHECK(noted.ledger.is_guilty(noted.entry));
  CHECK(noted.ledger.guilty_request().number == 3);
  noted.ledger.blame(nullptr, {});
  CHECK_FALSE(noted.ledger.is_guilty(noted.entry));
}

TEST_CASE("A connection in the ledger has its descriptor, its positions and its peer") {
  Ledger ledger(Ledger::kMinimum);
  TcpPair pair;
  const LedgerEntry* entry = ledger.add(pair.server, LedgerPeer::of(someone()), 28, 7);
  REQUIRE(entry != nullptr);
  REQUIRE(ledger.used() == 1);
  CHECK(&ledger.entry(0) == entry);
  CHECK(entry->state == LedgerState::open);
  CHECK(entry->fd == pair.server);
  CHECK(entry->read == 28);
  CHECK(entry->output().answers_until == 28);
  CHECK(entry->sent == 7);
  const Peer peer = entry->peer.to_peer();
  CHECK(peer.client.address == "192.0.2.7");
  CHECK(peer.client.port == 4711);
  CHECK(peer.loopback);
  CHECK_FALSE(peer.https);
}

TEST_CASE("A descriptor that is no socket is not noted") {
  Ledger ledger(Ledger::kMinimum);
  CHECK(ledger.add(-1, {}, 0, 0) == nullptr);
  CHECK(ledger.used() == 0);
}

TEST_CASE("Bytes that were just read are found in the read buffer") {
  Noted noted;
  read(noted.ledger, noted.entry, "GET / HTTP/1.1\r\n");
  CHECK(unanswered(noted.ledger, noted.entry, 0, 16) == "GET / HTTP/1.1\r\n");
  CHECK(unanswered(noted.ledger, noted.entry, 4, 6) == "/ ");
}

TEST_CASE("Bytes that the worker died over before it knew their number are found too") {
  Noted noted;
  noted.ledger.begin_read(&noted.entry);
  std::memcpy(noted.ledger.read_buffer().data(), "GET", 3);
  CHECK(noted.ledger.was_reading(noted.entry));
  CHECK(unanswered(noted.ledger, noted.entry, 0, 3) == "GET");
}

TEST_CASE("The read buffer of another connection is not taken for one's own") {
  Noted noted;
  TcpPair other_pair;
  LedgerEntry& other = *noted.ledger.add(other_pair.server, LedgerPeer::of(someone()), 0, 0);
  read(noted.ledger, noted.entry, "mine");
  read(noted.ledger, other, "theirs");
  CHECK_FALSE(noted.ledger.was_reading(noted.entry));
  CHECK(unanswered(noted.ledger, noted.entry, 0, 4) == "(gone)");
  CHECK(unanswered(noted.ledger, other, 0, 6) == "theirs");
}

TEST_CASE("Saved bytes and those in the read buffer make one whole") {
  Noted noted;
  const std::string all = pattern(20'000);
  read(noted.ledger, noted.entry, all.substr(0, 9'000));
  REQUIRE(noted.ledger.keep_unanswered(noted.entry, 0, all.substr(0, 9'000)));
  read(noted.ledger, noted.entry, all.substr(9'000, 1'000));
  REQUIRE(noted.ledger.keep_unanswered(noted.entry, 9'000, all.substr(9'000, 1'000)));
  read(noted.ledger, noted.entry, all.substr(10'000));
  CHECK(unanswered(noted.ledger, noted.entry, 0, 20'000) == all);
  CHECK(unanswered(noted.ledger, noted.entry, 4'500, 19'999) == all.substr(4'500, 15'499));
}

TEST_CASE("Bytes with a gap between them are not handed out") {
  Noted noted;
  read(noted.ledger, noted.entry, "abc");
  REQUIRE(noted.ledger.keep_unanswered(noted.entry, 0, "abc"));
  read(noted.ledger, noted.entry, "def");
  read(noted.ledger, noted.entry, "ghi");
  CHECK(unanswered(noted.ledger, noted.entry, 0, 9) == "(gone)");
  CHECK_FALSE(noted.ledger.keep_unanswered(noted.entry, 6, "ghi"));
  CHECK(kept(noted) == 0);
}

TEST_CASE("Blocks whose bytes are of no use any more are given back, the others stay") {
  Noted noted;
  const std::string all = pattern(20'000);
  read(noted.ledger, noted.entry, all);
  REQUIRE(noted.ledger.keep_unanswered(noted.entry, 0, all));
  noted.ledger.discard_until(noted.entry.unanswered, 10'000);
  CHECK(noted.ledger.span_of(noted.entry.unanswered).from > 0);
  CHECK(unanswered(noted.ledger, noted.entry, 10'000, 20'000) == all.substr(10'000));
  REQUIRE(noted.ledger.keep_unanswered(noted.entry, 20'000, "more"));
  noted.entry.read = 20'004;
  CHECK(unanswered(noted.ledger, noted.entry, 12'345, 20'004) == all.substr(12'345) + "more");
  noted.ledger.discard_until(noted.entry.unanswered, 20'004);
  CHECK(kept(noted) == 0);
}

TEST_CASE("Connections with much to save leave half of the blocks to the others") {
  Ledger ledger(8 * 1024 * 1024);
  TcpPair pair;
  const auto add = [&]() -> LedgerEntry& { return *ledger.add(pair.server, {}, 0, 0); };
  const std::string all = pattern(2'000'000);
  LedgerEntry& first = add();
  REQUIRE(ledger.keep_unanswered(first, 0, all));
  CHECK((unanswered(ledger, first, 0, all.size()) == all));  // not shown: it is too long
  LedgerEntry& second = add();
  CHECK_FALSE(ledger.keep_unsent(second, 0, all));
  CHECK(second.unsent.first_block == 0);
  std::size_t shorter = 0;
  while (ledger.keep_unsent(add(), 0, std::string_view(all).substr(0, Ledger::kShort))) ++shorter;
  CHECK(shorter > 50);
  CHECK((unanswered(ledger, first, 0, all.size()) == all));  // not shown: it is too long
  ledger.discard(first.unanswered);
  CHECK(ledger.keep_unsent(second, 0, std::string_view(all).substr(0, Ledger::kShort)));
}

TEST_CASE("What was written last, and what the socket had no room for before, make one whole") {
  Noted noted;
  const std::string all = pattern(20'000);
  REQUIRE(noted.ledger.fill_write_buffer(noted.entry, 100, all.substr(0, 5'000), all.substr(5'000, 4'000)));
  CHECK(unsent(noted.ledger, noted.entry, 100, 9'100) == all.substr(0, 9'000));
  CHECK(unsent(noted.ledger, noted.entry, 8'000, 9'100) == all.substr(7'900, 1'100));
  REQUIRE(noted.ledger.keep_unsent(noted.entry, 8'100, all.substr(8'000, 1'000)));
  REQUIRE(noted.ledger.fill_write_buffer(noted.entry, 9'100, all.substr(9'000), {}));
  CHECK(unsent(noted.ledger, noted.entry, 8'200, 20'100) == all.substr(8'100));
  CHECK(unsent(noted.ledger, noted.entry, 8'000, 20'100) == "(gone)");
  TcpPair other;
  REQUIRE(noted.ledger.fill_write_buffer(*noted.ledger.add(other.server, {}, 0, 0), 9'100, "theirs", {}));
  CHECK(unsent(noted.ledger, noted.entry, 9'100, 9'106) == "(gone)");
}

TEST_CASE("Bytes that an earlier connection left behind in a buffer are not handed out") {
  Noted noted;
  TcpPair other_pair;
  LedgerEntry& other = *noted.ledger.add(other_pair.server, {}, 0, 0);
  read(noted.ledger, other, "a secret of somebody else");
  read(noted.ledger, noted.entry, "mine");
  CHECK(unanswered(noted.ledger, noted.entry, 0, 5) == "(gone)");
  REQUIRE(noted.ledger.fill_write_buffer(other, 0, "a secret for somebody else", {}));
  REQUIRE(noted.ledger.fill_write_buffer(noted.entry, 0, "mine", {}));
  CHECK(unsent(noted.ledger, noted.entry, 0, 5) == "(gone)");
}

TEST_CASE("A write that is longer than the buffer is not noted") {
  Noted noted;
  CHECK(noted.ledger.fill_write_buffer(noted.entry, 0, std::string(Ledger::kWriteBuffer, 'x'), {}));
  CHECK_FALSE(noted.ledger.fill_write_buffer(noted.entry, 0, std::string(Ledger::kWriteBuffer, 'x'), "y"));
}

TEST_CASE("A full ledger takes no further connection until one is removed") {
  Ledger ledger(Ledger::kMinimum);
  TcpPair pair;
  std::vector<LedgerEntry*> entries;
  for (std::uint32_t i = 0; i < ledger.capacity(); ++i) entries.push_back(ledger.add(pair.server, {}, 0, 0));
  REQUIRE(std::ranges::count(entries, nullptr) == 0);
  CHECK(ledger.add(pair.server, {}, 0, 0) == nullptr);
  ledger.remove(*entries[5]);
  CHECK(entries[5]->state == LedgerState::free);
  CHECK(ledger.add(pair.server, {}, 0, 0) == entries[5]);
  CHECK(ledger.used() == ledger.capacity());
}

TEST_CASE("A ledger without free blocks saves nothing further, and gets blocks back with what is discarded") {
  Ledger ledger(Ledger::kMinimum);
  TcpPair pair;
  const std::string most = pattern(Ledger::kMaxUnanswered);
  std::vector<LedgerEntry*> entries;
  bool saved = true;
  while (saved) {
    entries.push_back(ledger.add(pair.server, {}, 0, 0));
    REQUIRE(entries.back() != nullptr);
    saved = ledger.keep_unanswered(*entries.back(), 0, most);
  }
  REQUIRE(entries.size() > 2);
  ledger.remove(*entries[0]);
  CHECK(ledger.keep_unanswered(*entries.back(), 0, most));
  CHECK(unanswered(ledger, *entries.back(), 0, most.size()) == most);
  CHECK(unanswered(ledger, *entries[1], 0, most.size()) == most);
}

TEST_CASE("A corrupt ledger is read without harm") {
  Ledger ledger(Ledger::kMinimum);
  TcpPair pair;
  for (int i = 0; i < 20; ++i) {
    LedgerEntry* entry = ledger.add(pair.server, {}, 0, 0);
    REQUIRE(ledger.keep_unanswered(*entry, 0, pattern(10'000)));
  }
  std::mt19937_64 random(4711);  // the same each time
  std::string out(Ledger::kMaxUnanswered + Ledger::kReadBuffer, '\0');
  for (int round = 0; round < 2'000; ++round) {
    // Of entry 0, or of what stands before the entries: the header.
    auto* bytes = reinterpret_cast<unsigned char*>(const_cast<LedgerEntry*>(&ledger.entry(0)));
    for (int i = 0; i < 16; ++i) bytes[random() % (20 * sizeof(LedgerEntry))] = static_cast<unsigned char>(random());
    auto* header = reinterpret_cast<unsigned char*>(ledger.read_buffer().data()) - 64;
    header[random() % 64] = static_cast<unsigned char>(random());
    REQUIRE(ledger.used() <= ledger.capacity());
    for (std::uint32_t i = 0; i < 20; ++i) {
      const LedgerEntry& entry = ledger.entry(i);
      const std::uint64_t from = entry.output().answers_until;
      static_cast<void>(ledger.copy_unsent(entry, entry.sent, entry.output().until, out));
      static_cast<void>(ledger.copy_unanswered(entry, from, from + random() % 200'000, out));
      static_cast<void>(ledger.copy_unanswered(entry, from, entry.read, out));
      static_cast<void>(ledger.was_reading(entry));
      REQUIRE(entry.peer.to_peer().client.address.size() < INET6_ADDRSTRLEN);
    }
  }
}
