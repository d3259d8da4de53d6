// Ten thousand sockets of two workers, through everything that ends workers.
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/clients/socket_crowd.h"
#include "support/eventually.h"
#include "support/processes/server_process.h"

namespace pronghorn::test {
namespace {

constexpr std::size_t kSockets = 10'000;
constexpr std::size_t kTalkers = 200;  // in the room where a hundred messages per second are sent

// What each client has seen of the room.
class Witness {
 public:
  explicit Witness(std::size_t clients) : last_(clients) {}

  void saw(std::size_t client, std::string_view text) {
    const nlohmann::json message = nlohmann::json::parse(text);
    if (!message.contains("offset")) {
      ++gaps_told_;
      return;
    }
    const auto offset = message.at("offset").get<std::uint64_t>();
    if (last_[client] != 0 && offset <= last_[client]) ++duplicates_;
    if (last_[client] != 0 && offset > last_[client] + 1) ++gaps_;
    last_[client] = offset;
  }
  [[nodiscard]] bool all_saw(std::size_t from, std::size_t until, std::uint64_t offset) const {
    return std::all_of(last_.begin() + static_cast<std::ptrdiff_t>(from),
                       last_.begin() + static_cast<std::ptrdiff_t>(until),
                       [offset](std::uint64_t last) { return last >= offset; });
  }
  [[nodiscard]] std::size_t gaps() const noexcept { return gaps_ + gaps_told_; }
  [[nodiscard]] std::size_t duplicates() const noexcept { return duplicates_; }
  [[nodiscard]] std::uint64_t last(std::size_t client) const { return last_.at(client); }

 private:
  std::vector<std::uint64_t> last_;
  std::size_t gaps_ = 0;
  std::size_t gaps_told_ = 0;
  std::size_t duplicates_ = 0;
};

// Whether this process and those that it starts may have enough descriptors.
bool raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur >= 2 * kSockets;
}

}  // namespace

TEST_CASE("ten thousand sockets go on through reloads, scaling and the kill of every worker", "[websocket][load]") {
  if (!raise_descriptor_limit()) {
    WARN("skipped: too few descriptors (ulimit -n)");
    return;
  }
  ServerProcess server({.redis = "embedded", .arguments = {"--overload", "off"}});
  Witness witness(kSockets);
  SocketCrowd crowd(server.address(), [&](std::size_t client, std::string_view text) { witness.saw(client, text); });
  crowd.join("/rooms/busy", kTalkers);
  crowd.join("/rooms/quiet", kSockets - kTalkers);
  std::uint64_t sent = 0;
  const auto talk = [&](int messages) {  // about a hundred a second
    for (int i = 0; i < messages; ++i, ++sent) {
      crowd.send(sent % kTalkers, "message " + std::to_string(sent));
      crowd.run_for(std::chrono::milliseconds(10));
    }
  };
  const auto everybody_has_all = [&] { return witness.all_saw(0, kTalkers, sent); };
  talk(100);
  CHECK(crowd.run_until(everybody_has_all));
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"reload"}, {"scale", "3"}, {"scale", "2"}, {"reload", "--wait"}}) {
    CHECK(server.control_command(command).status == 0);
    talk(100);
    CHECK(crowd.run_until(everybody_has_all));
  }
  REQUIRE(server.wait_ready(2));
  for (const pid_t pid : server.worker_pids()) {
    ::kill(pid, SIGKILL);
    talk(100);
    CHECK(crowd.run_until(everybody_has_all));
    REQUIRE(server.wait_ready(2));
  }
  crowd.send(kTalkers, "to the quiet ones");
  CHECK(crowd.run_until([&] { return witness.all_saw(kTalkers, kSockets, 1); }));
  for (const auto& [reason, count] : crowd.reasons()) UNSCOPED_INFO(count << " x " << reason);
  CHECK(crowd.lost() == 0);
  CHECK(witness.gaps() == 0);
  CHECK(witness.duplicates() == 0);
  // A message whose worker was killed was handled again, and yet is there once.
  CHECK(witness.last(0) == sent);
  CHECK(server.status().at("totals").at("websockets").at("open") == kSockets);
}

}  // namespace pronghorn::test
