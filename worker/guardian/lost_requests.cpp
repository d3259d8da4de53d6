#include "worker/guardian/lost_requests.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "worker/net/socket/socket_identity.h"

namespace pronghorn::worker {
namespace {

// "GET /orders" of "GET /orders?token=… HTTP/1.1". The bytes may end anywhere.
std::string_view method_and_path(std::string_view head) noexcept {
  head.remove_prefix(std::min(head.find_first_not_of("\r\n"), head.size()));
  head = head.substr(0, head.find_first_of("\r\n"));
  const std::size_t target = head.find(' ');
  if (target == std::string_view::npos) return head;
  return head.substr(0, head.find_first_of(" ?#", target + 1));
}

// What a WebSocket has begun is no request, and its bytes are nobody's business.
bool is_in_flight(const LedgerEntry& entry) noexcept {
  return entry.state.load(std::memory_order_acquire) == LedgerState::open && !entry.is_socket() &&
         entry.dispatched.load(std::memory_order_relaxed) > entry.output().answers_until;
}

// False if the bytes of the request are not there.
bool describe_lost(const Ledger& ledger, const LedgerEntry& entry, LostRequest& lost) noexcept {
  const LedgerOutput output = entry.output();
  const std::uint64_t from = output.answers_until;
  const std::uint64_t read = entry.read.load(std::memory_order_relaxed);
  if (read <= from) return false;
  std::array<char, sizeof lost.line> head{};
  const std::uint64_t size = std::min<std::uint64_t>(read - from, head.size());
  if (!ledger.copy_unanswered(entry, from, from + size, head)) return false;
  lost.started_ns = entry.begun_ns.load(std::memory_order_relaxed);
  lost.id = {};
  lost.responded = output.until > output.answers_end ? 1 : 0;
  copy_text(lost.line, method_and_path({head.data(), static_cast<std::size_t>(size)}));
  return true;
}

}  // namespace

void list_lost_requests(const Ledger& ledger, GuardianRow& row) noexcept {
  row.requests_of.store(0, std::memory_order_release);
  std::uint32_t count = 0;
  const std::uint32_t used = ledger.used();
  for (std::uint32_t index = 0; index < used && count < kMaxReportedRequests; ++index) {
    const LedgerEntry& entry = ledger.entry(index);
    if (!is_in_flight(entry)) continue;
    const std::uint64_t identity = entry.identity.load(std::memory_order_relaxed);
    if (identity == 0 || identity_of(entry.fd.load(std::memory_order_relaxed)) != identity) continue;
    if (describe_lost(ledger, entry, row.requests[count])) ++count;
  }
  row.requests_count.store(count, std::memory_order_release);
  row.requests_of.store(row.worker.load(std::memory_order_relaxed), std::memory_order_release);
}

}  // namespace pronghorn::worker
