#include "worker/guardian/verdict.h"

#include "support/catch.h"

using namespace pronghorn::worker;
using Fate = Verdict::Fate;

namespace {

// A connection that has had 100 bytes of requests answered with 1000.
struct Note {
  LedgerEntry entry{};
  SocketPositions kernel{.read = 100, .written = 1000};
  bool guilty = false;

  Note() {
    entry.state = LedgerState::open;
    entry.read = entry.answered = entry.dispatched = entry.answers_until = 100;
    entry.sent = entry.sending_until = entry.answered_end = 1000;
  }
  [[nodiscard]] Verdict verdict() const { return judge(entry, kernel, {.guilty = guilty}); }
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
  note.entry.answers_end = 1500;
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

TEST_CASE("A request that the application has seen moves, to be run once more") {
  Note note;
  note.kernel.read = 130;
  CHECK(note.verdict().begun == Begun::no);
  note.entry.dispatched = 101;
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().answered == 100);
  CHECK(note.verdict().begun == Begun::again);
  CHECK(note.verdict().begun_until == 101);
}

TEST_CASE("A request whose response has begun to leave is not run again") {
  Note note;
  note.kernel.read = 130;
  note.entry.dispatched = 101;
  note.entry.sending_until = 1500;
  note.kernel.written = 1001;
  CHECK(note.verdict().fate == Fate::ends);
  note.kernel.written = note.entry.sent = 1500;  // all of it that was made so far
  CHECK(note.verdict().fate == Fate::ends);
  note.entry.sent = 1000;
  note.entry.answers_until = 100;
  note.entry.answers_end = 1000;
  CHECK(note.verdict().fate == Fate::ends);
}

TEST_CASE("A request behind one whose response has left whole may be run again") {
  Note note;
  note.kernel.read = 200;
  note.kernel.written = note.entry.sending_until = note.entry.answers_end = 1500;
  note.entry.answers_until = 130;
  note.entry.dispatched = 131;
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().answered == 130);
  CHECK(note.verdict().begun == Begun::again);
  CHECK(note.verdict().begun_until == 131);
}

TEST_CASE("A request is never run a third time") {
  Note note;
  note.kernel.read = 130;
  note.entry.begun = Begun::again;
  note.entry.begun_until = 101;
  CHECK(note.verdict().begun == Begun::again);  // the second worker had not begun it
  note.entry.dispatched = 101;
  CHECK(note.verdict().begun == Begun::unknown);
  note.entry.begun = Begun::unknown;
  CHECK(note.verdict().begun == Begun::unknown);
}

TEST_CASE("The request that crashed the worker is guilty, and stays so") {
  Note note;
  note.kernel.read = 130;
  note.entry.dispatched = 101;
  note.guilty = true;
  CHECK(note.verdict().begun == Begun::guilty);
  note.entry.begun = Begun::guilty;
  note.entry.begun_until = 101;
  note.guilty = false;
  CHECK(note.verdict().begun == Begun::guilty);
}

TEST_CASE("What was known of a request is not held against the next one") {
  Note note;
  note.kernel.read = note.entry.dispatched = 130;
  note.entry.begun = Begun::unknown;
  note.entry.begun_until = 90;
  CHECK(note.verdict().begun == Begun::again);
}

TEST_CASE("Of requests that were pipelined, none is run a third time, also when another crashed the second worker") {
  Note note;
  note.kernel.read = 200;
  note.entry.begun = Begun::again;
  note.entry.begun_until = 131;
  note.entry.dispatched = 131;
  note.guilty = true;
  CHECK(note.verdict().begun == Begun::unknown);
  CHECK(note.verdict().begun_until == 131);
}

TEST_CASE("Requests with idempotent methods may be repeated") {
  for (const char* request : {"GET / HTTP/1.1\r\n", "\r\n\r\nHEAD /", "OPTIONS *", "PUT /a", "DELETE /a"}) {
    CHECK(may_repeat(request));
  }
  for (const char* request : {"POST / HTTP/1.1", "PATCH /", "get /", "GETX /", "G", "", "\r\n", " GET /"}) {
    CHECK_FALSE(may_repeat(request));
  }
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

TEST_CASE("A connection whose last response has left ends, and one whose last response has not moves") {
  Note note;
  note.entry.ends_at = 101;
  CHECK(note.verdict().fate == Fate::moves);
  note.kernel.read = note.entry.answered = note.entry.dispatched = 130;
  CHECK(note.verdict().fate == Fate::ends);
}

TEST_CASE("A ledger that says more was answered than the kernel has seen is not believed") {
  Note note;
  note.entry.answered = 101;
  CHECK(note.verdict().fate == Fate::ends);
  note.entry.answered = 100;
  CHECK(judge(note.entry, std::nullopt, {}).fate == Fate::ends);
}

TEST_CASE("A connection of a Unix socket moves when no system call was under way") {
  Note note;
  note.entry.peer.flags = LedgerPeer::kUnix;
  note.entry.read = 110;
  const Verdict verdict = judge(note.entry, std::nullopt, {});
  CHECK(verdict.fate == Fate::moves);
  CHECK(verdict.read == 110);
  CHECK(judge(note.entry, std::nullopt, {.was_reading = true}).fate == Fate::ends);
  note.entry.sending_until = 1500;
  CHECK(judge(note.entry, std::nullopt, {}).fate == Fate::ends);
}
