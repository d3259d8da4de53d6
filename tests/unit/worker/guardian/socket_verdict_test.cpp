#include "support/catch.h"
#include "unit/worker/guardian/test_note.h"
#include "worker/guardian/handoff/handoff.h"
#include "worker/guardian/verdict.h"

using namespace pronghorn::worker;
using Fate = Verdict::Fate;

namespace {

// A WebSocket that has had 100 bytes of its client, which were handled, and was sent 1000.
struct TestSocketNote : TestNote {
  TestSocketNote() { entry.upgraded_at = 40; }
  void output(std::uint64_t until, std::uint64_t answers_until) { TestNote::output(until, answers_until, until); }
};

}  // namespace

TEST_CASE("An idle WebSocket moves") {
  const Verdict verdict = TestSocketNote().verdict();
  CHECK(verdict.fate == Fate::moves);
  CHECK(verdict.socket);
  CHECK_FALSE(verdict.closing);
  CHECK(verdict.answered == 100);
  CHECK(verdict.owed_until == 1000);
  CHECK_FALSE(verdict.ends);
}

TEST_CASE("A connection whose upgrade is not answered is judged as any other") {
  TestSocketNote note;
  note.entry.upgraded_at = 130;
  note.kernel.read = note.entry.read = 130;
  note.entry.dispatched = 101;
  const Verdict verdict = note.verdict();
  CHECK_FALSE(verdict.socket);
  CHECK(verdict.fate == Fate::moves);
  CHECK(verdict.begun == Begun::again);
  CHECK(verdict.answered == 100);
}

TEST_CASE("All output of a WebSocket is owed, also what was written while a message is handled") {
  for (const std::uint64_t written : {1000, 1001, 1499, 1500}) {
    TestSocketNote note;
    note.kernel.read = note.entry.read = 130;
    note.entry.dispatched = 101;
    note.kernel.written = written;
    note.output(1500, 100);
    const Verdict verdict = note.verdict();
    CHECK(verdict.fate == Fate::moves);
    CHECK(verdict.sent == written);
    CHECK(verdict.owed_until == 1500);
    CHECK(verdict.begun == Begun::again);
    CHECK(verdict.begun_until == 101);
    CHECK_FALSE(verdict.owes);  // no request does
  }
}

TEST_CASE("A message that was being handled is handled again once, and not if it crashed its worker") {
  TestSocketNote note;
  note.kernel.read = 130;
  CHECK(note.verdict().begun == Begun::no);
  note.entry.dispatched = 101;
  CHECK(note.verdict().begun == Begun::again);
  note.guilty = true;
  CHECK(note.verdict().begun == Begun::guilty);
  note.entry.begun = Begun::again;
  note.entry.begun_until = 101;
  CHECK(note.verdict().begun == Begun::guilty);
  note.guilty = false;
  CHECK(note.verdict().begun == Begun::unknown);
}

TEST_CASE("A WebSocket whose client has gone moves: its close handler is to run") {
  TestSocketNote note;
  note.kernel.peer_closed = true;
  CHECK(note.verdict().fate == Fate::moves);
  note.kernel.broken = true;
  note.output(1500, 100);
  note.kernel = {.read = 7, .written = 7, .peer_closed = false, .broken = true};
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().read == 100);
  CHECK(note.verdict().sent == 1500);  // nothing is owed to it
  CHECK(note.verdict().owed_until == 1500);
}

TEST_CASE("A close handler that was running runs again once, without what the client had sent") {
  TestSocketNote note;
  note.kernel.read = note.entry.read = 130;
  note.entry.socket_close = SocketClose::due;
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().closing);
  CHECK(note.verdict().answered == 130);
  CHECK(note.verdict().begun == Begun::no);
  note.entry.socket_close = SocketClose::begun;
  CHECK(note.verdict().begun == Begun::again);
  CHECK(note.verdict().begun_until == kCloseBegun);
  note.guilty = true;
  CHECK(note.verdict().begun == Begun::guilty);
  note.guilty = false;
  note.entry.begun = Begun::again;
  note.entry.begun_until = kCloseBegun;
  CHECK(note.verdict().begun == Begun::unknown);
  note.entry.read = note.kernel.read = 200;  // whatever its client sends meanwhile
  CHECK(note.verdict().begun == Begun::unknown);
  note.entry.begun = Begun::guilty;
  note.entry.socket_close = SocketClose::due;
  CHECK(note.verdict().begun == Begun::guilty);
}

TEST_CASE("What was known of a message is not held against the close handler") {
  TestSocketNote note;
  note.entry.begun = Begun::again;
  note.entry.begun_until = 101;
  note.entry.socket_close = SocketClose::begun;
  CHECK(note.verdict().begun == Begun::again);
}

TEST_CASE("A WebSocket whose close handler has run moves only for the output that it owes") {
  TestSocketNote note;
  note.entry.socket_close = SocketClose::done;
  CHECK(note.verdict().fate == Fate::ends);
  CHECK_FALSE(note.verdict().owes);
  note.output(1500, 100);
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().ends);
  note.kernel.broken = true;
  CHECK(note.verdict().fate == Fate::ends);
}

TEST_CASE("A WebSocket that has lost a part of a message stays so") {
  TestSocketNote note;
  note.entry.socket_truncated = 1;
  note.kernel.read = 130;
  CHECK(note.verdict().truncated);
  CHECK(note.verdict().answered == 130);
}

TEST_CASE("A WebSocket whose ledger contradicts the kernel ends") {
  TestSocketNote note;
  note.kernel.written = 999;
  CHECK(note.verdict().fate == Fate::ends);
  note.kernel.written = 1001;
  CHECK(note.verdict().fate == Fate::ends);
  note.kernel.written = 1000;
  note.output(1000, 101);
  CHECK(note.verdict().fate == Fate::ends);
  note.output(1000, 100);
  note.kernel.read = 130;
  CHECK(judge(note.entry, note.kernel, {}).fate == Fate::ends);  // urgent data
  CHECK(judge(note.entry, std::nullopt, {}).fate == Fate::ends);
  CHECK(judge(note.entry, std::nullopt, {}).socket);
}

TEST_CASE("A WebSocket on a Unix socket moves when no system call was under way") {
  TestSocketNote note;
  note.entry.peer.flags = LedgerPeer::kUnix;
  CHECK(judge(note.entry, std::nullopt, {}).fate == Fate::moves);
  CHECK(judge(note.entry, std::nullopt, {.was_reading = true}).fate == Fate::ends);
  note.output(1500, 100);
  CHECK(judge(note.entry, std::nullopt, {}).fate == Fate::ends);
}

TEST_CASE("Of messages that were begun, the one that crashed the worker is told from those before it") {
  HandoffRecord record;
  CHECK(begun_at(record.begun, record.begun_until, 100) == Begun::no);
  record.begun_until = 131;
  record.begun = Begun::again;
  CHECK(begun_at(record.begun, record.begun_until, 100) == Begun::again);
  CHECK(begun_at(record.begun, record.begun_until, 130) == Begun::again);
  CHECK(begun_at(record.begun, record.begun_until, 131) == Begun::no);
  record.begun = Begun::guilty;
  CHECK(begun_at(record.begun, record.begun_until, 100) == Begun::again);
  CHECK(begun_at(record.begun, record.begun_until, 130) == Begun::guilty);
  CHECK(begun_at(record.begun, record.begun_until, 131) == Begun::no);
  record.begun = Begun::unknown;
  CHECK(begun_at(record.begun, record.begun_until, 100) == Begun::unknown);
}
