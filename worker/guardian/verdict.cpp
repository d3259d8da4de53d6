#include "worker/guardian/verdict.h"

#include <algorithm>
#include <initializer_list>

#include "worker/fields/text.h"
#include "worker/guardian/handoff/handoff.h"
#include "worker/net/socket/kernel_tls.h"

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

// The same of the close handler, which is the last message, wherever that begins.
Known known_of_close(const LedgerEntry& entry, bool running, bool guilty) noexcept {
  Known before = known_before(entry, kCloseBegun - 1);
  if (!running) return before;
  return known_now(before, kCloseBegun - 1, kCloseBegun, guilty);
}

// Frames must not be cut, so all output is owed. Without its state it cannot move: see gather().
Verdict judge_socket(const LedgerEntry& entry, const LedgerOutput& output, const std::optional<SocketPositions>& now,
                     LastMoments moments) noexcept {
  Verdict verdict{.socket = true};
  if (!now) return verdict;
  // Nothing is owed to a client that has gone, and nobody knows what the kernel had of it. But its close handler is to
  // run.
  const std::uint64_t read = now->broken ? entry.read.load(kRelaxed) : now->read;
  const std::uint64_t sent = now->broken ? output.until : now->written;
  if (!moments.was_reading && read != entry.read.load(kRelaxed)) return verdict;
  if (sent < entry.sent.load(kRelaxed) || sent > output.until || output.answers_until > read) return verdict;
  const SocketClose close = entry.socket_close.load(kRelaxed);
  verdict.ends = close == SocketClose::done;
  if (verdict.ends && sent == output.until) return verdict;
  verdict.closing = close != SocketClose::no;
  verdict.truncated = entry.socket_truncated.load(kRelaxed) != 0;
  verdict.answered = verdict.closing || verdict.truncated ? read : output.answers_until;
  verdict.read = read;
  verdict.sent = sent;
  verdict.owed_until = output.until;
  Known known;
  if (verdict.closing) {
    known = known_of_close(entry, close == SocketClose::begun, moments.guilty);
  } else {
    const std::uint64_t dispatched = entry.dispatched.load(kRelaxed);
    known = known_before(entry, verdict.answered);
    if (dispatched > verdict.answered) known = known_now(known, verdict.answered, dispatched, moments.guilty);
  }
  verdict.begun = known.begun;
  verdict.begun_until = known.until;
  verdict.fate = Verdict::Fate::moves;
  return verdict;
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

// The kernel counts encrypted bytes. But it knows how many records it has encrypted, and the ledger where they end.
std::optional<SocketPositions> ledger_positions(const Ledger& ledger, const LedgerEntry& entry, int fd,
                                                LastMoments moments) noexcept {
  auto positions = positions_of(fd);
  if (!positions || (entry.peer.flags & LedgerPeer::kKernelTls) == 0) return positions;
  const auto tls = kernel_tls_of(fd);
  const auto written = tls ? ledger.extra(entry).records.written(tls->next_record) : std::nullopt;
  if (!written || moments.was_reading) return std::nullopt;
  positions->read = entry.read.load(kRelaxed);
  positions->written = *written;
  return positions;
}

Verdict judge(const LedgerEntry& entry, const std::optional<SocketPositions>& positions, LastMoments moments) noexcept {
  if (entry.state.load(std::memory_order_acquire) != LedgerState::open) return {};
  const LedgerOutput output = entry.output();
  const bool is_unix = (entry.peer.flags & LedgerPeer::kUnix) != 0;
  const auto now = is_unix ? noted_positions(entry, moments.was_reading) : positions;
  if (entry.is_socket()) return judge_socket(entry, output, now, moments);
  const std::uint64_t answered = output.answers_until;
  const std::uint64_t dispatched = entry.dispatched.load(kRelaxed);
  const bool running = dispatched > answered;
  Verdict verdict{.owes = running || entry.sent.load(kRelaxed) != output.until};
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
