#include "worker/guardian/verdict.h"

#include "support/catch.h"

using namespace pronghorn::worker;
using Fate = Verdict::Fate;

namespace {

// A connection that has had 100 bytes of requests answered with 1000.
struct Note {
  LedgerEntry entry{};
  SocketPositions kernel{.read = 100, .written = 1000};

  Note() {
    entry.state = LedgerState::open;
    entry.read = entry.answered = entry.dispatched = entry.answers_until = 100;
    entry.sent = entry.sending_until = 1000;
  }
  [[nodiscard]] Verdict verdict() const { return judge(entry, kernel, false); }
};

}  // namespace

TEST_CASE("An idle connection moves") {
  const Verdict verdict = Note().verdict();
  CHECK(verdict.fate == Fate::moves);
  CHECK(verdict.answered == 100);
  CHECK(verdict.read == 100);
  CHECK(verdict.sent == 1000);
}

TEST_CASE("A connection whose worker died between reading a request and beginning it moves with the request") {
  Note note;
  note.kernel.read = 130;
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().answered == 100);
  CHECK(note.verdict().read == 130);
}

TEST_CASE("A worker that died right after a whole response left has answered the request") {
  Note note;
  note.kernel.read = 130;
  note.kernel.written = 1500;
  note.entry.dispatched = 101;
  note.entry.answers_until = 125;
  note.entry.sending_until = 1500;
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().answered == 125);
  CHECK(note.verdict().sent == 1500);
}

TEST_CASE("A worker that died right before the write has not answered the request") {
  Note note;
  note.kernel.read = 130;
  note.entry.answers_until = 125;
  CHECK(note.verdict().answered == 100);
  note.entry.sending_until = 1500;
  CHECK(note.verdict().answered == 100);
}

TEST_CASE("A connection in the middle of a response ends") {
  Note note;
  note.kernel.written = 1200;
  CHECK(note.verdict().fate == Fate::ends);
  note.entry.sending_until = 1500;
  CHECK(note.verdict().fate == Fate::ends);
}

TEST_CASE("A connection whose request the application has seen ends") {
  Note note;
  note.kernel.read = 130;
  note.entry.dispatched = 101;
  CHECK(note.verdict().fate == Fate::ends);
}

TEST_CASE("Connections that are closed, leaving or broken end") {
  Note note;
  note.entry.state = LedgerState::free;
  CHECK(note.verdict().fate == Fate::ends);
  note.entry.state = LedgerState::leaving;
  CHECK(note.verdict().fate == Fate::ends);
  note.entry.state = LedgerState::open;
  note.kernel.broken = true;
  CHECK(note.verdict().fate == Fate::ends);
}

TEST_CASE("A ledger that says more was answered than the kernel has seen is not believed") {
  Note note;
  note.entry.answered = 101;
  CHECK(note.verdict().fate == Fate::ends);
  note.entry.answered = 100;
  CHECK(judge(note.entry, std::nullopt, false).fate == Fate::ends);
}

TEST_CASE("A connection of a Unix socket moves when no system call was under way") {
  Note note;
  note.entry.peer.flags = LedgerPeer::kUnix;
  note.entry.read = 110;
  const Verdict verdict = judge(note.entry, std::nullopt, false);
  CHECK(verdict.fate == Fate::moves);
  CHECK(verdict.read == 110);
  CHECK(judge(note.entry, std::nullopt, true).fate == Fate::ends);
  note.entry.sending_until = 1500;
  CHECK(judge(note.entry, std::nullopt, false).fate == Fate::ends);
}
