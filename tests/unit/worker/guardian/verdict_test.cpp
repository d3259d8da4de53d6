#include "worker/guardian/verdict.h"

#include <string>

#include "support/catch.h"
#include "unit/worker/guardian/test_note.h"

using namespace pronghorn::worker;
using Fate = Verdict::Fate;

TEST_CASE("An idle connection moves") {
  const Verdict verdict = TestNote().verdict();
  CHECK(verdict.fate == Fate::moves);
  CHECK(verdict.answered == 100);
  CHECK(verdict.read == 100);
  CHECK(verdict.sent == 1000);
  CHECK(verdict.owed_until == 1000);
  CHECK_FALSE(verdict.owes);
}

TEST_CASE("A connection whose worker died between reading a request and beginning it moves with the request") {
  TestNote note;
  note.kernel.read = 130;
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().answered == 100);
  CHECK(note.verdict().read == 130);
}

TEST_CASE("A worker that died right after a whole response left has answered the request") {
  TestNote note;
  note.kernel.read = 130;
  note.kernel.written = 1500;
  note.entry.dispatched = 101;
  note.output(1500, 125, 1500);
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().answered == 125);
  CHECK(note.verdict().sent == 1500);
  CHECK(note.verdict().owed_until == 1500);
}

TEST_CASE("What a worker had not sent of a whole response is owed, from nothing to the last byte") {
  for (const std::uint64_t written : {1000, 1001, 1499}) {
    TestNote note;
    note.kernel.read = 130;
    note.kernel.written = written;
    note.entry.dispatched = 101;
    note.output(1500, 125, 1500);
    const Verdict verdict = note.verdict();
    CHECK(verdict.fate == Fate::moves);
    CHECK(verdict.owes);
    CHECK(verdict.answered == 125);
    CHECK(verdict.begun == Begun::no);
    CHECK(verdict.sent == written);
    CHECK(verdict.owed_until == 1500);
  }
}

TEST_CASE("A whole response is owed, and the one behind it that is not whole is run again") {
  TestNote note;
  note.kernel.read = 200;
  note.kernel.written = 1200;
  note.entry.dispatched = 131;
  note.output(1700, 130, 1500);  // 200 bytes of a stream follow
  CHECK(note.verdict().owed_until == 1500);
  CHECK(note.verdict().answered == 130);
  CHECK(note.verdict().begun == Begun::again);
  note.kernel.written = 1501;
  CHECK(note.verdict().fate == Fate::ends);
  CHECK(note.verdict().owes);
}

TEST_CASE("A kernel that has taken less or more than was given to it is not believed") {
  TestNote note;
  note.kernel.written = 999;
  CHECK(note.verdict().fate == Fate::ends);
  note.kernel.written = 1001;
  CHECK(note.verdict().fate == Fate::ends);
}

TEST_CASE("A request that the application has seen moves, to be run once more") {
  TestNote note;
  note.kernel.read = 130;
  CHECK(note.verdict().begun == Begun::no);
  note.entry.dispatched = 101;
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().answered == 100);
  CHECK(note.verdict().begun == Begun::again);
  CHECK(note.verdict().begun_until == 101);
}

TEST_CASE("A request whose response has begun to leave is not run again") {
  TestNote note;
  note.kernel.read = 130;
  note.entry.dispatched = 101;
  note.output(1500, 100, 1000);
  CHECK(note.verdict().begun == Begun::again);
  note.kernel.written = 1001;
  CHECK(note.verdict().fate == Fate::ends);
  CHECK(note.verdict().owes);
  note.kernel.written = note.entry.sent = 1500;  // all of it that was made so far
  CHECK(note.verdict().fate == Fate::ends);
}

TEST_CASE("A request behind one whose response has left whole may be run again") {
  TestNote note;
  note.kernel.read = 200;
  note.kernel.written = 1500;
  note.output(1500, 130, 1500);
  note.entry.dispatched = 131;
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().answered == 130);
  CHECK(note.verdict().begun == Begun::again);
  CHECK(note.verdict().begun_until == 131);
}

TEST_CASE("A request is never run a third time") {
  TestNote note;
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
  TestNote note;
  note.kernel.read = 130;
  note.entry.dispatched = 101;
  note.guilty = true;
  CHECK(note.verdict().begun == Begun::guilty);
  note.entry.begun = Begun::guilty;
  note.entry.begun_until = 101;
  note.guilty = false;
  CHECK(note.verdict().begun == Begun::guilty);
}

TEST_CASE("A request before the guilty one is not run a third time") {
  TestNote note;
  note.kernel.read = 200;
  note.entry.begun = Begun::guilty;
  note.entry.begun_until = 131;
  note.entry.dispatched = 101;
  CHECK(note.verdict().begun == Begun::unknown);
}

TEST_CASE("What was known of a request is not held against the next one") {
  TestNote note;
  note.kernel.read = note.entry.dispatched = 130;
  note.entry.begun = Begun::unknown;
  note.entry.begun_until = 90;
  CHECK(note.verdict().begun == Begun::again);
}

TEST_CASE("Of requests that were pipelined, none is run a third time, also when another crashed the second worker") {
  TestNote note;
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

TEST_CASE("Requests with an Idempotency-Key may be repeated if their method is POST or PATCH") {
  const std::string key = " / HTTP/1.1\r\nHost: a\r\nidempotency-KEY:k\r\n";
  for (const std::string& request : {"POST" + key + "\r\n{}", "\r\n\r\nPATCH" + key, "POST" + key}) {
    CHECK(may_repeat_under_key(request));
  }
  const std::string none = "POST / HTTP/1.1\r\nX-Idempotency-Key: k\r\n";
  for (const std::string& request : {none + "\r\nIdempotency-Key: k\r\n\r\n", "LINK" + key, std::string("POST "),
                                     std::string(), std::string("POST / HTTP/1.1\r\nIdempotency-Ke")}) {
    CHECK_FALSE(may_repeat_under_key(request));
  }
}

TEST_CASE("Connections that are closed, leaving or broken end") {
  TestNote note;
  note.entry.state = LedgerState::free;
  CHECK(note.verdict().fate == Fate::ends);
  note.entry.state = LedgerState::leaving;
  CHECK(note.verdict().fate == Fate::ends);
  note.entry.state = LedgerState::open;
  note.kernel.broken = true;
  CHECK(note.verdict().fate == Fate::ends);
}

TEST_CASE("A connection whose last response has left ends, and one whose last response has not moves") {
  TestNote note;
  note.entry.ends_at = 101;
  CHECK(note.verdict().fate == Fate::moves);
  CHECK_FALSE(note.verdict().ends);
  note.kernel.read = note.entry.dispatched = 130;
  note.output(1500, 130, 1500);
  CHECK(note.verdict().fate == Fate::moves);
  CHECK(note.verdict().ends);
  note.kernel.written = 1500;
  CHECK(note.verdict().fate == Fate::ends);
  CHECK_FALSE(note.verdict().owes);
}

TEST_CASE("A connection of which the kernel has passed bytes over ends: urgent data is read and never seen") {
  TestNote note;
  note.kernel.read = 130;
  CHECK(judge(note.entry, note.kernel, {}).fate == Fate::ends);
  note.entry.read = 130;
  CHECK(judge(note.entry, note.kernel, {}).fate == Fate::moves);
}

TEST_CASE("A ledger that says more was answered than the kernel has seen is not believed") {
  TestNote note;
  note.output(1000, 101, 1000);
  CHECK(note.verdict().fate == Fate::ends);
  note.output(1000, 100, 1000);
  CHECK(judge(note.entry, std::nullopt, {}).fate == Fate::ends);
}

TEST_CASE("A connection of a Unix socket moves when no system call was under way") {
  TestNote note;
  note.entry.peer.flags = LedgerPeer::kUnix;
  note.entry.read = 110;
  const Verdict verdict = judge(note.entry, std::nullopt, {});
  CHECK(verdict.fate == Fate::moves);
  CHECK(verdict.read == 110);
  CHECK(judge(note.entry, std::nullopt, {.was_reading = true}).fate == Fate::ends);
  note.output(1500, 110, 1500);
  CHECK(judge(note.entry, std::nullopt, {}).fate == Fate::ends);
  CHECK(judge(note.entry, std::nullopt, {}).owes);
}
