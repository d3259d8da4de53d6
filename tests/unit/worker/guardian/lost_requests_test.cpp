#include "worker/guardian/lost_requests.h"

#include <memory>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/clients/tcp_pair.h"

using namespace pronghorn::worker;
using pronghorn::GuardianRow;
using pronghorn::kMaxReportedRequests;
using pronghorn::text_of;
using pronghorn::test::TcpPair;

namespace {

// What a worker that died has left.
struct Left {
  Ledger ledger{Ledger::kMinimum};
  std::vector<std::unique_ptr<TcpPair>> pairs;
  std::unique_ptr<GuardianRow> row = std::make_unique<GuardianRow>();

  Left() { row->worker.store(4242); }
  LedgerEntry& connection() {
    pairs.push_back(std::make_unique<TcpPair>());
    LedgerEntry* const entry = ledger.add(pairs.back()->server, {}, 0, 0);
    REQUIRE(entry != nullptr);
    return *entry;
  }
  LedgerEntry& request(const std::string& bytes) {
    LedgerEntry& entry = connection();
    entry.read.store(bytes.size());
    REQUIRE(ledger.keep_unanswered(entry, 0, bytes));
    entry.dispatched.store(1);
    entry.begun_ns.store(7);
    return entry;
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    list_lost_requests(ledger, *row);
    CHECK(row->requests_of == 4242);
    std::vector<std::string> lines;
    for (std::uint32_t i = 0; i < row->requests_count; ++i) lines.push_back(text_of(row->requests[i].line));
    return lines;
  }
};

}  // namespace

TEST_CASE("requests in flight are listed with method and path, without what may be secret") {
  Left left;
  left.request("GET /orders?token=secret HTTP/1.1\r\nHost: a\r\n\r\n");
  left.request("\r\nPOST /pay HTTP/1.1\r\nContent-Length: 9\r\n\r\n").set_output({100, 0, 0});
  CHECK(left.lines() == std::vector<std::string>{"GET /orders", "POST /pay"});
  CHECK(left.row->requests[0].started_ns == 7);
  CHECK(left.row->requests[0].responded == 0);
  CHECK(left.row->requests[1].responded == 1);
}

TEST_CASE("what is idle, half-sent, answered, closed or passed on is not in flight") {
  Left left;
  left.connection();
  left.request("GET /half").dispatched.store(0);
  left.request("GET /answered HTTP/1.1\r\n\r\n").set_output({50, 27, 50});
  left.request("GET /other HTTP/1.1\r\n\r\n").identity.store(1);
  left.ledger.leave(left.request("GET /leaving HTTP/1.1\r\n\r\n"));
  CHECK(left.lines().empty());
}

TEST_CASE("of more requests than a report has room for, the first are listed") {
  Left left;
  for (std::size_t i = 0; i < kMaxReportedRequests + 3; ++i) {
    left.request("GET /" + std::string(1'000, 'x') + " HTTP/1.1\r\n\r\n");
  }
  const auto lines = left.lines();
  CHECK(lines.size() == kMaxReportedRequests);
  CHECK(lines.front() == "GET /" + std::string(154, 'x'));
}

TEST_CASE("a ledger that makes no sense lists nothing that is not there") {
  Left left;
  LedgerEntry& entry = left.request("GET /a HTTP/1.1\r\n\r\n");
  entry.read.store(UINT64_MAX);
  CHECK(left.lines().empty());
  entry.read.store(0);
  CHECK(left.lines().empty());
}

TEST_CASE("a message of a WebSocket is no request") {
  Left left;
  LedgerEntry& entry = left.request("a secret between friends");
  entry.upgraded_at = 10;
  entry.set_output({.until = 100, .answers_until = 10, .answers_end = 100});
  entry.dispatched = 11;
  CHECK(left.lines().empty());
}
