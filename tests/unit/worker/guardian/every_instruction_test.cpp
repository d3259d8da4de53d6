// A worker may die between any two of its instructions. A child does what a worker does for a WebSocket, one
// instruction at a time; after each, this process looks at it as a guardian would if it were dead.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.h"
#include "support/clients/tcp_pair.h"
#include "support/system/single_step.h"
#include "worker/guardian/gather.h"
#include "worker/net/ledger/ledger_notes.h"

using namespace pronghorn::worker;
using pronghorn::test::SingleStep;
using pronghorn::test::TcpPair;

namespace {

using Marks = std::vector<LedgerMark>;

constexpr std::string_view kRequest = "0123456789";
constexpr std::string_view kMessage = "message!";
constexpr int kEvents = 6;
constexpr int kMessages = 3;

// The child. Its frames are 'e' (an event of the first topic), 'f' (one of the second), 'r' (the reply to a message)
// and 'c' (the last one); "101" comes first.
class Worker {
 public:
  Worker(Ledger& ledger, LedgerEntry& entry, int fd) : ledger_(ledger), fd_(fd) { notes_.begin(ledger, &entry, 0); }

  void run() {
    become_socket();
    for (int i = 1; i <= kEvents; ++i) deliver(i);
    subscribe();
    for (int i = 0; i < kMessages; ++i) handle_message();
    close();
  }

 private:
  void become_socket() {
    read(kRequest.size());
    notes_.begin_request(kRequest.size(), 1);
    static_cast<void>(notes_.upgrade("1", Marks{{1, 0}}));
    notes_.end_request();
    write("101");
    notes_.settle_messages();
  }
  // Some events in one write, and some that the socket has no room for at first.
  void deliver(int event) {
    notes_.mark(0, {1, static_cast<std::uint64_t>(event)});
    if (event % 2 == 0) return write_late("e");
    write("e");
    notes_.settle_messages();
  }
  void subscribe() {
    static_cast<void>(notes_.keep_state("2, with a state that is longer", Marks{{1, kEvents}, {7, 0}}));
    notes_.mark(1, {7, 1});
    notes_.mark(1, {7, 2});
    write("ff");
    notes_.mark_now(1, {7, 2});
    static_cast<void>(notes_.keep_state("2"));
    notes_.settle_messages();
  }
  // It arrives in two parts.
  void handle_message() {
    const std::uint64_t position = notes_.consumed();
    read(3);
    notes_.keep_messages(kMessage.substr(0, 3));
    notes_.settle_messages();
    read(kMessage.size() - 3);
    notes_.consume(kMessage.size());
    notes_.begin_message(position);
    notes_.end_messages(position + kMessage.size());
    write("r");
    notes_.keep_messages(kMessage.substr(3));
    notes_.settle_messages();
  }
  void close() {
    static_cast<void>(notes_.keep_state("2 closing", Counts::with_output));
    write("c");
    notes_.begin_close();
    notes_.end_close();
  }

  void read(std::size_t size) {
    notes_.begin_read();
    const ssize_t got = ::recv(fd_, ledger_.read_buffer().data(), size, 0);
    notes_.end_read(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  }
  void write(std::string_view bytes) {
    notes_.will_write(bytes, {}, false);
    static_cast<void>(::send(fd_, bytes.data(), bytes.size(), 0));
    notes_.all_written();
  }
  void write_late(std::string_view bytes) {
    notes_.will_write(bytes, {}, false);
    notes_.keep_rest(bytes);
    ledger_.begin_read(nullptr);
    static_cast<void>(::send(fd_, bytes.data(), bytes.size(), 0));
    notes_.all_written();
    notes_.settle_messages();
  }

  Ledger& ledger_;
  int fd_;
  LedgerNotes notes_;
};

// What the next worker would be given now, and what the client would have received in the end.
class Guardian {
 public:
  Guardian(const Ledger& ledger, const LedgerEntry& entry, const TcpPair& pair)
      : ledger_(ledger), entry_(entry), pair_(pair) {}

  void look() {
    receive();
    const LastMoments moments{.was_reading = ledger_.was_reading(entry_), .guilty = false};
    const Verdict verdict = judge(entry_, positions_of(pair_.server), moments);
    if (entry_.socket_close == SocketClose::done) return check_end(verdict);
    REQUIRE(verdict.fate == Verdict::Fate::moves);
    const auto gathered = gather(ledger_, entry_, pair_.server, verdict);
    REQUIRE(gathered);
    REQUIRE(gathered->record.truncated == 0);
    const std::string all = received_ + std::string(gathered->handed.unsent);
    if (!verdict.socket) {
      CHECK(all.empty());
      return;
    }
    check(*gathered, all);
  }
  [[nodiscard]] const std::set<std::string>& states() const noexcept { return states_; }
  [[nodiscard]] const std::string& received() const noexcept { return received_; }
  [[nodiscard]] std::size_t redeliveries() const noexcept { return redeliveries_; }

 private:
  void receive() {
    char bytes[64];
    const ssize_t size = ::recv(pair_.client, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0) received_.append(bytes, static_cast<std::size_t>(size));
  }
  void check(const Gathered& gathered, const std::string& all) {
    const auto& [record, handed, made] = gathered;
    const auto count = [&](char frame) { return static_cast<std::uint64_t>(std::ranges::count(all, frame)); };
    const std::string state(handed.state);
    states_.insert(state);
    REQUIRE(all.starts_with("101"));
    // Neither a gap nor a duplicate.
    REQUIRE(handed.marks.size() == (state[0] == '1' ? 1 : 2));
    REQUIRE(handed.marks[0] == LedgerMark{1, count('e')});
    REQUIRE(count('f') == (handed.marks.size() == 2 ? handed.marks[1].offset : 0));
    REQUIRE((state == "2 closing") == (count('c') == 1));
    // Each message has been answered, or is there to be handled.
    const std::uint64_t handled = kRequest.size() + count('r') * kMessage.size();
    REQUIRE((record.closing == 1 || record.answered == handled));
    REQUIRE(std::string_view(kMessage).starts_with(handed.unanswered));
    if (record.begun == Begun::again) ++redeliveries_;
  }
  void check_end(const Verdict& verdict) const { REQUIRE(verdict.fate == Verdict::Fate::ends); }

  const Ledger& ledger_;
  const LedgerEntry& entry_;
  const TcpPair& pair_;
  std::string received_;
  std::set<std::string> states_;
  std::size_t redeliveries_ = 0;
};

}  // namespace

TEST_CASE("Whenever a worker dies, its WebSocket's places and messages fit what its client is sent") {
  if (!SingleStep::is_allowed()) return;
  Ledger ledger(Ledger::kMinimum);
  const TcpPair pair;
  LedgerEntry& entry = *ledger.add(pair.server, {}, 0, 0);
  auto* const go =
      ::new (::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<int>(0);
  pair.client_sends(std::string(kRequest));
  for (int i = 0; i < kMessages; ++i) pair.client_sends(std::string(kMessage));
  const int child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    {
      Worker worker(ledger, entry, pair.server);
      go->store(1);  // the sanitizers' part of fork() is over
      while (go->load() == 1) {
      }
      worker.run();
    }
    for (;;) ::pause();
  }
  while (go->load() == 0) std::this_thread::yield();
  SingleStep worker(child);
  go->store(2);
  Guardian guardian(ledger, entry, pair);
  std::size_t instructions = 0;
  while (worker.run(1) == 1) {
    ++instructions;
    INFO("after " << instructions << " instructions");
    guardian.look();
  }
  worker.kill();
  ::munmap(go, 4096);
  CHECK(guardian.received() == "101eeeeeeffrrrc");
  CHECK(guardian.redeliveries() > 0);
  CHECK(guardian.states() == std::set<std::string>{"1", "2", "2 closing", "2, with a state that is longer"});
  CHECK(instructions > 2'000);
}
