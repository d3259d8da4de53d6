#include "worker/guardian/guardian.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <cstring>
#include <utility>

#include "worker/guardian/gather.h"
#include "worker/guardian/lost_requests.h"
#include "worker/guardian/unnoted.h"
#include "worker/guardian/verdict.h"
#include "worker/net/socket/socket_identity.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kPatienceMs = 60'000;  // then nobody is left who would take the connections
constexpr int kRetryMs = 50;                   // the kernel does not say when its limits have room again

// Not on the stack: memory that no guardian touches unless it is needed.
std::array<char, kMaxHandedUnanswered> lost_bytes;
std::bitset<kMostDescriptors> noted;

// Waits while the queue is full. False when that was in vain.
bool send_patiently(int queue, const Handed& handed, const HandoffRecord& record, std::uint64_t deadline_ms) noexcept {
  for (;;) {
    const HandoffSent sent = send_handoff(queue, handed, record);
    if (sent != HandoffSent::full) return sent == HandoffSent::yes;
    if (monotonic_ms() >= deadline_ms) return false;
    pollfd wait{queue, POLLOUT, 0};
    // A queue that is writable while sending fails: the limit of descriptors in flight is reached.
    if (::poll(&wait, 1, kRetryMs) > 0) ::poll(nullptr, 0, 1);
  }
}

void count(Counter& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }

// Of requests that were pipelined, the first stands for all. Routes are not known here: a request with an
// Idempotency-Key is taken to have a route that runs it again. (Count::requests_replayed has what was run.)
void count_begun(GuardianRow& row, Begun begun, std::string_view unanswered) noexcept {
  if (begun == Begun::guilty) return count(row.crashed);
  const bool runs = may_repeat(unanswered) || may_repeat_under_key(unanswered);
  if (begun == Begun::again && runs) return count(row.run_again);
  if (begun != Begun::no) count(row.refused);
}

Verdict verdict_on(const GuardianDuties& duties, const LedgerEntry& entry, int fd) noexcept {
  const LastMoments moments{.was_reading = duties.ledger->was_reading(entry),
                            .guilty = duties.ledger->is_guilty(entry)};
  return judge(entry, ledger_positions(*duties.ledger, entry, fd, moments), moments);
}

// A request that ends with its worker: another worker logs it, if the queue has room now.
void report_lost(const GuardianDuties& duties, const LedgerEntry& entry) noexcept {
  const std::uint64_t answered = entry.output().answers_until;
  const std::uint64_t read = entry.read.load(std::memory_order_relaxed);
  if (entry.dispatched.load(std::memory_order_relaxed) <= answered || read <= answered) return;
  const std::uint64_t until = std::min(read, answered + kMaxHandedUnanswered);
  if (!duties.ledger->copy_unanswered(entry, answered, until, lost_bytes)) return;
  HandoffRecord record;
  record.reason = HandoffReason::lost;
  record.begun_ns = entry.begun_ns.load(std::memory_order_relaxed);
  record.peer = entry.peer;
  static_cast<void>(send_handoff(duties.queue, {.unanswered = {lost_bytes.data(), until - answered}}, record));
}

// What the next worker does with a WebSocket, as far as it is known here.
void count_socket(GuardianRow& row, const HandoffRecord& record) noexcept {
  count(row.sockets);
  if (record.closing != 0) return;
  const bool refused = record.begun == Begun::guilty || record.begun == Begun::unknown || record.truncated != 0;
  if (refused) return count(row.sockets_refused);
  if (record.begun == Begun::again) count(row.messages_again);
}

bool hand_over(const GuardianDuties& duties, const LedgerEntry& entry, int fd, const Verdict& verdict,
               std::uint64_t deadline_ms) noexcept {
  const auto gathered = gather(*duties.ledger, entry, fd, verdict);
  if (!gathered) return false;
  const HandoffRecord& record = gathered->record;
  const bool sent = send_patiently(duties.queue, gathered->handed, record, deadline_ms);
  drop(gathered->made);
  if (!sent) return false;
  if (verdict.socket) {
    count_socket(*duties.row, record);
  } else {
    if (verdict.owed_until > verdict.sent) count(duties.row->finished);
    count_begun(*duties.row, record.begun, gathered->handed.unanswered);
  }
  return true;
}

template <class Visit>
void for_each_connection(const Ledger& ledger, Visit visit) noexcept {
  const std::uint32_t used = ledger.used();
  for (std::uint32_t index = 0; index < used; ++index) {
    const LedgerEntry& entry = ledger.entry(index);
    if (entry.state.load(std::memory_order_acquire) == LedgerState::free) continue;
    const int fd = entry.fd.load(std::memory_order_relaxed);
    const std::uint64_t identity = entry.identity.load(std::memory_order_relaxed);
    if (has_identity(fd, identity)) visit(entry, fd);
  }
}

// The end of the connection may be the end of its last response: half of one must not look like the whole.
void reset_on_close(int fd) noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

// Connections that the ledger had no room for end, and those over TLS that it has not: their secrets have died with the
// worker. Their clients see it at once, also while the others wait for takers.
void close_what_nobody_takes(const GuardianDuties& duties) noexcept {
  const bool full = duties.ledger->used() == duties.ledger->capacity();
  if (!full && !duties.ports.any_https()) return;
  for_each_connection(*duties.ledger, [](const LedgerEntry&, int fd) {
    if (fd < kMostDescriptors) noted.set(static_cast<std::size_t>(fd));
  });
  for (int fd = 0, end = descriptors_end(); fd < end; ++fd) {
    if (noted.test(static_cast<std::size_t>(fd)) || unnoted(fd, duties.ports) != Unnoted::served) continue;
    if (!full && !speaks_tls(fd, duties.ports)) continue;
    count(duties.row->lost);
    ::close(fd);
  }
}

// To be called when all connections that were noted are closed.
void pass_on_newcomers(const GuardianDuties& duties, std::uint64_t deadline_ms) noexcept {
  for (int fd = 0, end = descriptors_end(); fd < end; ++fd) {
    if (unnoted(fd, duties.ports) != Unnoted::newcomer) continue;
    HandoffRecord record;
    record.reason = HandoffReason::accepted;
    record.identity = identity_of(fd);
    if (speaks_tls(fd, duties.ports)) record.peer.flags = LedgerPeer::kHttps;
    const bool passed_on = send_patiently(duties.queue, {.connection = fd}, record, deadline_ms);
    count(passed_on ? duties.row->handed_over : duties.row->lost);
    ::close(fd);
  }
}

[[noreturn]] void guard(const GuardianDuties& duties, int worker, int worker_pidfd, int supervisor_pid) noexcept {
  // Signals to the group are for the others. SIGKILL comes when the supervisor has died.
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "pronghorn-guard");
  if (::getppid() != supervisor_pid) ::_exit(0);
  // The supervisor finds us here when the worker dies before it has named us.
  duties.row->pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
  duties.row->worker.store(static_cast<std::uint32_t>(worker), std::memory_order_release);
  pollfd end{worker_pidfd, POLLIN, 0};
  while (::poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  // POLLNVAL: something in the worker has closed what is not its own, perhaps more than this; the worker lives.
  if ((end.revents & POLLIN) == 0 || duties.ledger->dismissed()) ::_exit(0);
  hand_over_all(duties, kPatienceMs);
  ::_exit(0);
}

std::string reason_of(const char* call) {
  const int error = errno;
  const char* hint = error == ENOSYS   ? " (Linux 5.3 is needed)"
                     : error == EAGAIN ? " (the limit of processes, RLIMIT_NPROC or pids.max, is reached)"
                     : error == EPERM  ? " (a seccomp filter?)"
                                       : "";
  return std::string(call) + ": " + std::strerror(error) + hint;
}

}  // namespace

void hand_over_all(const GuardianDuties& duties, std::uint64_t patience_ms) noexcept {
  const std::uint64_t deadline_ms = monotonic_ms() + patience_ms;
  list_lost_requests(*duties.ledger, *duties.row);
  const auto lose = [&duties](const LedgerEntry& entry, const Verdict& verdict) {
    count(duties.row->lost);
    if (!verdict.owes) return;
    count(duties.row->cut);
    report_lost(duties, entry);
  };
  // Clients whose connection ends see it at once, also while the others wait for takers.
  for_each_connection(*duties.ledger, [&](const LedgerEntry& entry, int fd) {
    const Verdict verdict = verdict_on(duties, entry, fd);
    if (verdict.fate == Verdict::Fate::moves) return;
    lose(entry, verdict);
    if (verdict.owes && entry.ends_at.load(std::memory_order_relaxed) != 0) reset_on_close(fd);
    ::close(fd);
  });
  close_what_nobody_takes(duties);
  for_each_connection(*duties.ledger, [&](const LedgerEntry& entry, int fd) {
    const Verdict verdict = verdict_on(duties, entry, fd);
    if (verdict.fate == Verdict::Fate::moves && hand_over(duties, entry, fd, verdict, deadline_ms)) {
      count(duties.row->handed_over);
    } else {
      lose(entry, verdict);
    }
    ::close(fd);  // an entry that names the same descriptor must not find it
  });
  pass_on_newcomers(duties, deadline_ms);
  // What the worker had taken from the queue itself. If it had noted it already, the loop above has closed it.
  if (const auto left = duties.inbox->left_behind()) {
    const bool passed_on = send_patiently(duties.queue, left->handed, left->record, deadline_ms);
    count(passed_on ? duties.row->handed_over : duties.row->lost);
    drop(left->handed);
  }
}

std::expected<int, std::string> start_guardian(const GuardianDuties& duties, int supervisor_pid) {
  const int worker = ::getpid();
  const auto worker_pidfd = static_cast<int>(::syscall(SYS_pidfd_open, worker, 0));
  if (worker_pidfd < 0) return std::unexpected(reason_of("pidfd_open"));
  // Not through glibc, whose fork() does not share descriptors and runs handlers of libraries in the child.
  const long pid = ::syscall(SYS_clone, CLONE_FILES | CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) guard(duties, worker, worker_pidfd, supervisor_pid);
  if (pid < 0) {
    std::string reason = reason_of("clone");
    ::close(worker_pidfd);
    return std::unexpected(std::move(reason));
  }
  return static_cast<int>(pid);
}

}  // namespace pronghorn::worker
