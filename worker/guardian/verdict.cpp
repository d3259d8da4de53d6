#include "worker/guardian/verdict.h"

#include <algorithm>
#include <initializer_list>

#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;  // the writer is dead

// What the kernel does not know of a Unix socket, the ledger says exactly, unless a system call was under way.
std::optional<SocketPositions> noted_positions(const LedgerEntry& entry, bool was_reading) noexcept {
  const std::uint64_t sent = entry.sent.load(kRelaxed);
  if (was_reading || entry.output().until != sent) return std::nullopt;
  SocketPositions positions;
  positions.read = entry.read.load(kRelaxed);
  positions.written = sent;
  return positions;
}

struct Known {
  Begun begun = Begun::no;
  std::uint64_t until = 0;
};

// What was known of the requests from there on when this worker took the connection up.
Known known_before(const LedgerEntry& entry, std::uint64_t answered) noexcept {
  const Known known{.begun = entry.begun.load(kRelaxed), .until = entry.begun_until.load(kRelaxed)};
  const bool valid = known.begun == Begun::again || known.begun == Begun::unknown || known.begun == Begun::guilty;
  return valid && known.until > answered ? known : Known{};
}

// This worker had begun requests up to `dispatched` as well. A request that has had two workers is not run again; who
// that was is not known of each, so none is.
Known known_now(const Known& before, std::uint64_t answered, std::uint64_t dispatched, bool guilty) noexcept {
  const std::uint64_t until = std::max(before.until, dispatched);
  if (before.begun == Begun::no) return {.begun = guilty ? Begun::guilty : Begun::again, .until = until};
  const bool alone = dispatched == answered + 1;
  if (guilty && before.begun == Begun::again && alone) return {.begun = Begun::guilty, .until = dispatched};
  if (before.begun == Begun::guilty && alone && dispatched == before.until) return before;
  return {.begun = Begun::unknown, .until = until};
}

std::string_view without_empty_lines(std::string_view request) noexcept {
  while (request.starts_with("\r\n")) request.remove_prefix(2);
  return request;
}

bool has_method(std::string_view request, std::initializer_list<std::string_view> methods) noexcept {
  request = without_empty_lines(request);
  return std::ranges::any_of(methods, [request](std::string_view method) { return request.starts_with(method); });
}

}  // namespace

bool may_repeat(std::string_view request) noexcept {
  return has_method(request, {"GET ", "HEAD ", "OPTIONS ", "PUT ", "DELETE "});
}

bool may_repeat_under_key(std::string_view request) noexcept {
  if (!has_method(request, {"POST ", "PATCH "})) return false;
  constexpr std::string_view kField = "\r\nidempotency-key:";
  request = without_empty_lines(request);
  const std::string_view head = request.substr(0, request.find("\r\n\r\n"));
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    if (equal_ignoring_case(head.substr(at, kField.size()), kField)) return true;
  }
  return false;
}

Verdict judge(const LedgerEntry& entry, const std::optional<SocketPositions>& positions, LastMoments moments) noexcept {
  if (entry.state.load(std::memory_order_acquire) != LedgerState::open) return {};
  const LedgerOutput output = entry.output();
  const std::uint64_t answered = output.answers_until;
  const std::uint64_t dispatched = entry.dispatched.load(kRelaxed);
  const bool running = dispatched > answered;
  Verdict verdict{.owes = running || entry.sent.load(kRelaxed) != output.until};
  const bool is_unix = (entry.peer.flags & LedgerPeer::kUnix) != 0;
  const auto now = is_unix ? noted_positions(entry, moments.was_reading) : positions;
  if (!now) return verdict;
  const std::uint64_t sent = now->written;
  verdict.owes = !now->broken && (running || sent < output.until);
  // The kernel has passed bytes over, or the ledger is not to be believed.
  if (!moments.was_reading && now->read != entry.read.load(kRelaxed)) return verdict;
  if (now->broken || sent < entry.sent.load(kRelaxed) || sent > output.until || answered > now->read) return verdict;
  if (running && sent > output.answers_end) return verdict;  // a part of its response has left
  const std::uint64_t owed_until = std::max(sent, std::min(output.until, output.answers_end));
  const std::uint64_t ends_at = entry.ends_at.load(kRelaxed);
  const bool ends = ends_at != 0 && answered >= ends_at;
  if (ends && owed_until == sent) return verdict;

  const Known before = known_before(entry, answered);
  const Known known = running ? known_now(before, answered, dispatched, moments.guilty) : before;
  verdict.fate = Verdict::Fate::moves;
  verdict.answered = answered;
  verdict.read = now->read;
  verdict.sent = sent;
  verdict.owed_until = owed_until;
  verdict.ends = ends;
  verdict.begun = known.begun;
  verdict.begun_until = known.until;
  return verdict;
}

}  // namespace pronghorn::worker
