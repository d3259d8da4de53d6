// A worker may die between any two of its instructions. A child does what a worker does for kept-alive HTTP connections,
// one instruction at a time; after each, this process looks at them as a guardian would if it were dead.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <string>
#include <string_view>
#include <thread>

#include "support/catch.h"
#include "support/clients/tcp_pair.h"
#include "support/system/single_step.h"
#include "worker/guardian/gather.h"
#include "worker/net/ledger/ledger_notes.h"

using namespace pronghorn::worker;
using pronghorn::test::SingleStep;
using pronghorn::test::TcpPair;

namespace {

constexpr int kRequests = 4;
constexpr std::string_view kRequest = "GET a;";  // each as long as the others
constexpr std::string_view kHead = "head ";
constexpr std::string_view kBody = "body;";
constexpr std::size_t kResponse = kHead.size() + kBody.size();

// One connection, as its worker has it.
class Served {
 public:
  Served(Ledger& ledger, LedgerEntry& entry, int fd) : ledger_(ledger), fd_(fd) { notes_.begin(ledger, &entry, 0); }

  // The request arrives in two parts if `parted`; the socket has no room for the response at first if `late`.
  void serve(std::uint32_t number, bool parted, bool late) {
    if (parted) {
      notes_.keep(read(2));
      notes_.settle(true);
    }
    const std::string_view last = read(kRequest.size() - (parted ? 2 : 0));
    notes_.begin_request(kRequest.size(), number);
    notes_.end_request();
    notes_.will_write(kHead, kBody, false);
    static_cast<void>(::send(fd_, kHead.data(), kHead.size(), 0));
    if (late) notes_.keep_rest(kBody);
    static_cast<void>(::send(fd_, kBody.data(), kBody.size(), 0));
    notes_.all_written();
    notes_.keep(last);
    notes_.settle(true);
  }

 private:
  std::string_view read(std::size_t size) {
    notes_.begin_read();
    const ssize_t got = ::recv(fd_, ledger_.read_buffer().data(), size, 0);
    notes_.end_read(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return {ledger_.read_buffer().data(), size};
  }

  Ledger& ledger_;
  int fd_;
  LedgerNotes notes_;
};

// The client of one connection, and what the next worker would be given of it.
class Client {
 public:
  explicit Client(Ledger& ledger) : ledger_(ledger), entry_(*ledger.add(pair_.server, {}, 0, 0)) {
    for (int i = 0; i < kRequests; ++i) pair_.client_sends(std::string(kRequest));
  }
  [[nodiscard]] LedgerEntry& entry() noexcept { return entry_; }
  [[nodiscard]] int server() const noexcept { return pair_.server; }

  // Each request has its response, which was sent or is to be sent, or is there to be run.
  void look() {
    receive();
    const LastMoments moments{.was_reading = ledger_.was_reading(entry_), .guilty = false};
    const Verdict verdict = judge(entry_, positions_of(pair_.server), moments);
    REQUIRE(verdict.fate == Verdict::Fate::moves);
    const auto gathered = gather(ledger_, entry_, pair_.server, verdict);
    REQUIRE(gathered);
    const std::string all = received_ + std::string(gathered->handed.unsent);
    const std::size_t answered = all.size() / kResponse;
    REQUIRE(all == responses(answered));
    REQUIRE(gathered->record.answered == answered * kRequest.size());
    REQUIRE(kRequest.starts_with(gathered->handed.unanswered));
    reruns_ += gathered->record.begun == Begun::again ? 1 : 0;
    owed_ += gathered->handed.unsent.empty() ? 0 : 1;
  }
  void check_end() const {
    CHECK(received_ == responses(kRequests));
    CHECK(reruns_ > 0);
    CHECK(owed_ > 0);
  }

 private:
  static std::string responses(std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all.append(kHead).append(kBody);
    return all;
  }
  void receive() {
    char bytes[64];
    const ssize_t size = ::recv(pair_.client, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0) received_.append(bytes, static_cast<std::size_t>(size));
  }

  TcpPair pair_;
  const Ledger& ledger_;
  LedgerEntry& entry_;
  std::string received_;
  std::size_t reruns_ = 0;
  std::size_t owed_ = 0;
};

}  // namespace

TEST_CASE("Whenever a worker dies, each request of its connections has one response, or is there to be run") {
  if (!SingleStep::is_allowed()) return;
  Ledger ledger(Ledger::kMinimum);
  std::array<Client, 2> clients{Client(ledger), Client(ledger)};  // they share the buffers
  auto* const go =
      ::new (::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<int>(0);
  const int child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Served first(ledger, clients[0].entry(), clients[0].server());
    Served second(ledger, clients[1].entry(), clients[1].server());
    go->store(1);  // the sanitizers' part of fork() is over
    while (go->load() == 1) {
    }
    for (std::uint32_t i = 1; i <= kRequests; ++i) {
      first.serve(i, i == 3, i == 2);
      second.serve(i, i == 2, i == 4);
    }
    for (;;) ::pause();
  }
  while (go->load() == 0) std::this_thread::yield();
  SingleStep worker(child);
  go->store(2);
  std::size_t instructions = 0;
  while (worker.run(1) == 1) {
    ++instructions;
    INFO("after " << instructions << " instructions");
    for (Client& client : clients) client.look();
  }
  worker.kill();
  ::munmap(go, 4096);
  for (const Client& client : clients) client.check_end();
  CHECK(instructions > 1'000);
}
