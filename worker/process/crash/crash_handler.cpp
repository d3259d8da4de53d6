// This code runs in signal handlers: no allocation, no lock, no stdio.
#include "worker/process/crash/crash_handler.h"

#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "worker/process/crash/modules.h"

namespace pronghorn::worker {
namespace {

constexpr std::array kFatalSignals{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
constexpr std::size_t kHandlerFrames = 8;         // our own, and the kernel's trampoline
constexpr std::size_t kHandlerStack = 64 * 1024;  // the kernel saves up to 11 KiB of vector registers there

constexpr std::uint64_t kUnknown = UINT64_MAX;  // on architectures that this file does not know

WorkerRow* the_row = nullptr;
const ExchangePool* the_exchanges = nullptr;
Ledger* the_ledger = nullptr;
std::atomic<int> crashing_thread{0};
std::size_t next_step = 0;
alignas(64) std::array<std::byte, kHandlerStack> handler_stack;

struct Crash {
  int signal;
  const siginfo_t* info;
  const ucontext_t* where;
};

Crash the_crash{};

int thread_id() noexcept { return static_cast<int>(::syscall(SYS_gettid)); }

std::uint64_t program_counter(const ucontext_t& where) noexcept {
#if defined(__x86_64__)
  return static_cast<std::uint64_t>(where.uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return where.uc_mcontext.pc;
#else
  static_cast<void>(where);
  return kUnknown;
#endif
}

// The return address of a function that has just been called. After a jump to an invalid address, which the unwinder
// cannot unwind, it is all that is left.
std::uint64_t return_address(const ucontext_t& where) noexcept {
#if defined(__x86_64__)
  return *reinterpret_cast<const std::uint64_t*>(where.uc_mcontext.gregs[REG_RSP]);
#elif defined(__aarch64__)
  return where.uc_mcontext.regs[30];
#else
  static_cast<void>(where);
  return kUnknown;
#endif
}

void write_program_counter(StackTrace& stack, const ucontext_t& where) noexcept {
  stack.addresses[0] = program_counter(where);
  stack.count.store(1, std::memory_order_release);
}

// Records the frames from the interrupted one on. Leaves `stack` unchanged if none is found.
void write_frames(StackTrace& stack, const ucontext_t& where) noexcept {
  std::array<void*, kMaxFrames + kHandlerFrames> frames{};
  const int found = ::backtrace(frames.data(), static_cast<int>(frames.size()));
  const auto end = frames.begin() + std::max(found, 0);
  const std::uint64_t pc = program_counter(where);
  auto frame = pc == kUnknown ? frames.begin() : std::find(frames.begin(), end, reinterpret_cast<void*>(pc));
  if (end - frame <= 1) return;
  std::uint32_t count = 0;
  for (; frame != end && count < kMaxFrames; ++frame) {
    stack.addresses[count++] = reinterpret_cast<std::uint64_t>(*frame);
  }
  stack.count.store(count, std::memory_order_release);
}

// --- A fatal signal -------------------------------------------------------------------------------------------------

void write_facts(const Crash& at) noexcept {
  CrashRecord& crash = the_row->crash;
  crash.code = at.info->si_code;
  const bool sent = at.info->si_code <= 0;
  crash.address = sent ? 0 : reinterpret_cast<std::uint64_t>(at.info->si_addr);
  crash.client = 0;
  crash.sender = sent ? static_cast<std::uint32_t>(at.info->si_pid) : 0;
  crash.thread = static_cast<std::uint32_t>(thread_id());
  write_program_counter(crash.stack, *at.where);
  crash.signal.store(static_cast<std::uint32_t>(at.signal), std::memory_order_release);
}

void write_caller(const Crash& at) noexcept {
  StackTrace& stack = the_row->crash.stack;
  stack.addresses[1] = return_address(*at.where);
  stack.count.store(2, std::memory_order_release);
}

void write_stack(const Crash& at) noexcept { write_frames(the_row->crash.stack, *at.where); }

void write_line(char (&line)[sizeof LostRequest::line], const RequestHead& head) noexcept {
  constexpr std::size_t kLongestMethod = 16;
  const std::string_view method = head.method.substr(0, kLongestMethod);
  std::copy(method.begin(), method.end(), line);
  line[method.size()] = ' ';
  const std::string_view path = head.path.substr(0, sizeof line - method.size() - 2);
  std::copy(path.begin(), path.end(), line + method.size() + 1);
  line[method.size() + 1 + path.size()] = '\0';
}

void write_requests(const Crash&) noexcept {
  if (the_exchanges == nullptr) return;
  CrashRecord& crash = the_row->crash;
  std::uint32_t count = 0;
  // The bound guards against a list that a stray write has made circular.
  std::size_t steps = 0;
  for (const Exchange* each = the_exchanges->first(); each != nullptr && steps < 100'000; each = each->pool_next) {
    ++steps;
    if (!each->in_use || count == kMaxReportedRequests) continue;
    LostRequest& lost = crash.requests[count];
    lost.started_ns = static_cast<std::uint64_t>(each->started.time_since_epoch().count());
    lost.id = each->known_number();
    lost.responded = each->responded ? 1 : 0;
    write_line(lost.line, each->head);
    crash.requests_count.store(++count, std::memory_order_release);
  }
}

// The exchange whose code has the loop; null: none has.
const Exchange* running_exchange() noexcept {
  if (the_exchanges == nullptr || the_row->running.active.load() == 0) return nullptr;
  const RequestId& running = the_row->running.id;
  std::size_t steps = 0;
  for (const Exchange* each = the_exchanges->first(); each != nullptr && steps < 100'000; each = each->pool_next) {
    ++steps;
    const RequestId& id = each->known_number();
    if (each->in_use && id.number == running.number && id.worker == running.worker) return each;
  }
  return nullptr;
}

// A signal that another process sends says nothing about a request, except that of the watchdog: the request has had
// the loop for too long.
bool is_own_fault(const Crash& at) noexcept {
  if (thread_id() != ::getpid()) return false;
  const bool sent = at.info->si_code <= 0;
  return !sent || at.info->si_pid == ::getpid() || (at.signal == SIGABRT && at.info->si_pid == ::getppid());
}

void write_guilty(const Crash& at) noexcept {
  if (the_ledger == nullptr || !is_own_fault(at)) return;
  if (const Exchange* running = running_exchange()) the_ledger->blame(running->noted, running->known_number());
}

void write_client(const Crash&) noexcept {
  const Exchange* running = running_exchange();
  if (running == nullptr || running->peer == nullptr) return;
  std::uint64_t digest = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char byte : running->peer->client.address) {
    digest = (digest ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  }
  the_row->crash.client = digest;
}

// The application's library, and those that it needs, are recorded when all of them are loaded. Until then one of their
// initialisers may be what crashes. The linker's lock may be taken again by the thread that has it.
void write_modules(const Crash&) noexcept {
  if (the_row->phase.load() == WorkerPhase::booting) record_modules(the_row->modules);
}

// If a step faults, only what it would have recorded is lost.
constexpr std::array kSteps{write_facts,    write_guilty, write_caller, write_stack,
                            write_requests, write_client, write_modules};

[[noreturn]] void die_of(int signal) noexcept {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::syscall(SYS_tgkill, ::getpid(), thread_id(), signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::_exit(128 + signal);
}

// A fault within a step enters the handler again (SA_NODEFER), which continues with the next step.
void on_fatal_signal(int signal, siginfo_t* info, void* context) {
  const int thread = thread_id();
  int nobody = 0;
  if (!crashing_thread.compare_exchange_strong(nobody, thread) && nobody != thread) {
    for (;;) ::pause();  // another thread crashed first and ends the process
  }
  if (next_step == 0) the_crash = {signal, info, static_cast<const ucontext_t*>(context)};
  while (next_step < kSteps.size()) kSteps[next_step++](the_crash);
  die_of(the_crash.signal);
}

// --- A loop that is blocked -----------------------------------------------------------------------------------------

void on_stack_asked(int, siginfo_t*, void* context) {
  const int error = errno;
  StallRecord& stall = the_row->stall;
  const RunningRequest& running = the_row->running;
  const bool active = running.active.load(std::memory_order_relaxed) != 0;
  stall.id = active ? running.id : RequestId{};
  copy_text(stall.line, active ? std::string_view(running.line) : std::string_view());
  copy_text(stall.client_id, active ? std::string_view(running.client_id) : std::string_view());
  const auto& where = *static_cast<const ucontext_t*>(context);
  write_program_counter(stall.stack, where);
  write_frames(stall.stack, where);
  stall.taken.store(stall.taken.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  errno = error;
}

void handle(int signal, void (*handler)(int, siginfo_t*, void*), int flags) noexcept {
  struct sigaction action{};
  if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) return;
  action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | flags;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void install_crash_handler(WorkerRow& row) noexcept {
  the_row = &row;
  std::array<void*, 1> frame{};
  static_cast<void>(::backtrace(frame.data(), 1));  // the first call loads the unwinder, which allocates
  stack_t stack{};
  // AddressSanitizer has installed one, and frees the one it finds at the end.
  if (::sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) != 0) {
    stack = {};
    stack.ss_sp = handler_stack.data();
    stack.ss_size = handler_stack.size();
    ::sigaltstack(&stack, nullptr);
  }
  for (const int signal : kFatalSignals) handle(signal, on_fatal_signal, SA_NODEFER);
  handle(SIGURG, on_stack_asked, SA_RESTART);
}

void report_requests_of(const ExchangePool* exchanges) noexcept { the_exchanges = exchanges; }

void blame_requests_in(Ledger* ledger) noexcept { the_ledger = ledger; }

}  // namespace pronghorn::worker
