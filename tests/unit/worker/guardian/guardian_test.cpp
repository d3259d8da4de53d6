#include "worker/guardian/guardian.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/clients/tcp_pair.h"
#include "support/eventually.h"
#include "worker/net/open_file.h"
#include "worker/net/socket/socket_identity.h"

using namespace pronghorn::worker;
using namespace std::chrono_literals;
using pronghorn::test::eventually;
using pronghorn::test::TcpPair;

namespace {

// What a worker and its guardian share, and what this process, as their supervisor, sees of it.
struct Shared {
  HandoffInbox inbox;
  pronghorn::GuardianRow row;
  std::atomic<int> guardian;
  std::atomic<int> ready;
};

class Memory {
 public:
  Memory()
      : shared(::new(::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
                   Shared{}) {
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, queue) == 0);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    ::munmap(shared, sizeof(Shared));
    ::close(queue[0]);
    ::close(queue[1]);
  }
  [[nodiscard]] GuardianDuties duties() { return {&ledger, &shared->inbox, queue[0], &shared->row}; }

  Ledger ledger{Ledger::kMinimum};
  Shared* shared;
  int queue[2] = {};
};

// A process that notes these connections, starts its guardian and then does `work`.
template <class Work>
int start_worker(Memory& memory, std::vector<TcpPair>& pairs, Work work) {
  const int supervisor = ::getpid();
  const int pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (TcpPair& pair : pairs) {
      if (memory.ledger.add(pair.server, {}, 0, 0) == nullptr) ::_exit(1);
    }
    const auto guardian = start_guardian(memory.duties(), supervisor);
    memory.shared->guardian = guardian ? *guardian : -1;
    memory.shared->ready = 1;
    work();
    for (;;) ::pause();
  }
  for (TcpPair& pair : pairs) pair.close_server();
  REQUIRE(eventually(5s, [&] { return memory.shared->ready.load() == 1; }));
  return pid;
}

int reap(int pid) {
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return status;
}

// "open", or what its client sees of it.
std::string seen_by_client(const TcpPair& pair) {
  char byte = 0;
  const ssize_t size = ::recv(pair.client, &byte, 1, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return "open";
  return size == 0 ? "closed" : "data";
}

}  // namespace

TEST_CASE("The connections of a killed worker are in the queue, open, and its guardian is the supervisor's child") {
  Memory memory;
  std::vector<TcpPair> pairs(3);
  const int worker = start_worker(memory, pairs, [] {});
  REQUIRE(memory.shared->guardian > 0);
  ::kill(worker, SIGKILL);
  reap(worker);
  CHECK(reap(memory.shared->guardian) == 0);
  CHECK(memory.shared->row.handed_over == 3);
  CHECK(memory.shared->row.lost == 0);
  HandoffInbox inbox;
  for (const TcpPair& pair : pairs) {
    CHECK(seen_by_client(pair) == "open");
    const auto taken = inbox.receive(memory.queue[1]);
    REQUIRE(taken);
    REQUIRE(::write(taken->handed.connection, "x", 1) == 1);
    ::close(taken->handed.connection);
    CHECK(eventually(5s, [&] { return seen_by_client(pair) == "data"; }));
  }
  CHECK_FALSE(inbox.receive(memory.queue[1]));
}

TEST_CASE("A worker that ends in order dismisses its guardian, and its connections end with it") {
  Memory memory;
  std::vector<TcpPair> pairs(1);
  const int worker = start_worker(memory, pairs, [&] {
    memory.ledger.dismiss();
    ::_exit(0);
  });
  reap(worker);
  CHECK(reap(memory.shared->guardian) == 0);
  CHECK(memory.shared->row.handed_over == 0);
  CHECK(eventually(5s, [&] { return seen_by_client(pairs[0]) == "closed"; }));
}

TEST_CASE("A guardian waits for takers when the queue is full") {
  Memory memory;
  std::vector<TcpPair> pairs(400);  // more than the queue holds
  const int worker = start_worker(memory, pairs, [] {});
  ::kill(worker, SIGKILL);
  reap(worker);
  HandoffInbox inbox;
  std::size_t taken = 0;
  CHECK(eventually(5s, [&] {
    while (const auto connection = inbox.receive(memory.queue[1])) {
      ::close(connection->handed.connection);
      ++taken;
    }
    return taken == pairs.size();
  }));
  reap(memory.shared->guardian);
  CHECK(memory.shared->row.handed_over == 400);
}

TEST_CASE("A descriptor that has become another's is not handed over in its place") {
  Memory memory;
  std::vector<TcpPair> pairs(1);
  TcpPair other;
  const int worker = start_worker(memory, pairs, [&] {
    // What an application does that closes descriptors which are not its own.
    ::dup2(other.server, memory.ledger.entry(0).fd);
    ::kill(::getpid(), SIGKILL);
  });
  reap(worker);
  reap(memory.shared->guardian);
  CHECK(memory.shared->row.handed_over == 0);
  HandoffInbox inbox;
  CHECK_FALSE(inbox.receive(memory.queue[1]));
}

TEST_CASE("Two entries that name one descriptor hand it over once") {
  Memory memory;
  std::vector<TcpPair> pairs(1);
  const int worker = start_worker(memory, pairs, [&] {
    static_cast<void>(memory.ledger.add(memory.ledger.entry(0).fd, {}, 0, 0));
    ::kill(::getpid(), SIGKILL);
  });
  reap(worker);
  reap(memory.shared->guardian);
  CHECK(memory.shared->row.handed_over == 1);
}

TEST_CASE("What a worker had taken from the queue and not noted yet is passed on when it dies") {
  Memory memory;
  std::vector<TcpPair> pairs;
  TcpPair pair;
  HandoffRecord record;
  record.identity = identity_of(pair.server);
  REQUIRE(record.identity != 0);
  REQUIRE(send_handoff(memory.queue[0], {.connection = pair.server, .unanswered = "abc"}, record) == HandoffSent::yes);
  pair.close_server();
  const int worker = start_worker(memory, pairs, [&] {
    static_cast<void>(memory.shared->inbox.receive(memory.queue[1]));
    ::kill(::getpid(), SIGKILL);
  });
  reap(worker);
  reap(memory.shared->guardian);
  HandoffInbox inbox;
  const auto taken = inbox.receive(memory.queue[1]);
  REQUIRE(taken);
  CHECK(taken->handed.unanswered == "abc");
  ::close(taken->handed.connection);
}

TEST_CASE("What a client was not sent goes with its connection: as a file if a message has no room for it") {
  for (const std::size_t size : {std::size_t{1'000}, 2 * kMaxHandedUnsent}) {
    Memory memory;
    std::vector<TcpPair> pairs(1);
    const int worker = start_worker(memory, pairs, [&] {
      auto& entry = const_cast<LedgerEntry&>(memory.ledger.entry(0));
      static_cast<void>(memory.ledger.keep_unsent(entry, 0, std::string(size, 'r')));
      entry.set_output({.until = size, .answers_until = 0, .answers_end = size});
      ::kill(::getpid(), SIGKILL);
    });
    reap(worker);
    reap(memory.shared->guardian);
    CHECK(memory.shared->row.finished == 1);
    HandoffInbox inbox;
    const auto taken = inbox.receive(memory.queue[1]);
    REQUIRE(taken);
    std::string bytes(taken->handed.unsent);
    if (taken->handed.file >= 0) CHECK(OpenFile(taken->handed.file).append(bytes, 0, taken->record.file_bytes));
    CHECK(bytes == std::string(size, 'r'));
    ::close(taken->handed.connection);
  }
}

TEST_CASE("A connection that its worker had just accepted is passed on, to be served from its beginning") {
  const bool is_https = GENERATE(false, true);
  Memory memory;
  TcpPair accepted;
  TcpPair elsewhere;
  TcpPair read_from;
  read_from.client_sends("x");
  const std::array<pronghorn::InheritedListener, 2> ours{
      {{.address = {}, .slot = 0, .fd = accepted.server, .is_unix = false, .is_https = is_https},
       {.address = {}, .slot = 0, .fd = read_from.server, .is_unix = false}}};
  GuardianDuties duties = memory.duties();
  duties.ports = ListeningPorts(ours);
  const int supervisor = ::getpid();
  const int worker = ::fork();
  if (worker == 0) {
    char byte = 0;
    if (::read(read_from.server, &byte, 1) != 1) ::_exit(1);
    const auto guardian = start_guardian(duties, supervisor);
    memory.shared->guardian = guardian ? *guardian : -1;
    ::kill(::getpid(), SIGKILL);
  }
  accepted.close_server();
  elsewhere.close_server();
  read_from.close_server();
  reap(worker);
  REQUIRE(memory.shared->guardian > 0);
  reap(memory.shared->guardian);
  HandoffInbox inbox;
  const auto taken = inbox.receive(memory.queue[1]);
  REQUIRE(taken);
  CHECK(taken->record.reason == HandoffReason::accepted);
  CHECK(taken->record.peer.to_peer().https == is_https);
  CHECK(seen_by_client(accepted) == "open");
  ::close(taken->handed.connection);
  CHECK_FALSE(inbox.receive(memory.queue[1]));
  CHECK(eventually(5s, [&] { return seen_by_client(elsewhere) == "closed"; }));
  CHECK(eventually(5s, [&] { return seen_by_client(read_from) == "closed"; }));
}

TEST_CASE("Clients that a full ledger has no room for, or over TLS, do not wait until the queue takes the others") {
  const bool is_https = GENERATE(false, true);
  Memory memory;
  TcpPair in_ledger;
  TcpPair without_room;
  without_room.client_sends("x");
  const std::array<pronghorn::InheritedListener, 1> ours{
      {{.address = {}, .slot = 0, .fd = without_room.server, .is_unix = false, .is_https = is_https}}};
  GuardianDuties duties = memory.duties();
  duties.ports = ListeningPorts(ours);
  while (::send(memory.queue[0], "full", 4, 0) == 4) {
  }
  const int supervisor = ::getpid();
  const int worker = ::fork();
  if (worker == 0) {
    while (memory.ledger.add(in_ledger.server, {}, 0, 0) != nullptr && !is_https) {
    }
    char byte = 0;
    if (::read(without_room.server, &byte, 1) != 1) ::_exit(1);
    const auto guardian = start_guardian(duties, supervisor);
    memory.shared->guardian = guardian ? *guardian : -1;
    ::kill(::getpid(), SIGKILL);
  }
  in_ledger.close_server();
  without_room.close_server();
  reap(worker);
  REQUIRE(memory.shared->guardian > 0);
  CHECK(eventually(5s, [&] { return seen_by_client(without_room) == "closed"; }));
  CHECK(seen_by_client(in_ledger) == "open");
  CHECK(memory.shared->row.lost == 1);
  ::kill(memory.shared->guardian, SIGKILL);
  reap(memory.shared->guardian);
}

TEST_CASE("Where no process can be made, the reason is told and the worker goes on") {
  Memory memory;
  const int pid = ::fork();
  if (pid == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_NPROC, &none);
    if (::getuid() == 0 && ::setuid(65534) != 0) ::_exit(1);  // root is not limited
    const auto guardian = start_guardian(memory.duties(), ::getppid());
    ::_exit(!guardian && guardian.error().find("RLIMIT_NPROC") != std::string::npos ? 42 : 1);
  }
  CHECK(WEXITSTATUS(reap(pid)) == 42);
}

TEST_CASE("A connection that the kernel should encrypt, and does not, ends") {
  Memory memory;
  const TcpPair pair;
  LedgerPeer peer;
  peer.flags = LedgerPeer::kKernelTls;
  REQUIRE(memory.ledger.take_up(::fcntl(pair.server, F_DUPFD_CLOEXEC, 0), peer, {}) != nullptr);
  hand_over_all(memory.duties(), 1000);
  CHECK(memory.shared->row.lost == 1);
  CHECK(memory.shared->row.handed_over == 0);
}
