// Replies to the script of jobs that are not its own: from a proxy, or a server that only resembles Redis.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "unit/worker/state/jobs/job_worker.h"
#include "worker/state/jobs/queue/job_scripts.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

// Serves any number of connections, and answers each command with what `answer` makes of its words.
class AnsweringServer {
 public:
  using Answer = std::function<std::string(const std::vector<std::string>&)>;

  explicit AnsweringServer(Answer answer) : answer_(std::move(answer)), fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = socket();
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 16) == 0);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  // After the workers have closed their connections.
  ~AnsweringServer() {
    ::shutdown(fd_, SHUT_RDWR);
    acceptor_.join();
    for (std::thread& each : connections_) each.join();
    ::close(fd_);
  }
  [[nodiscard]] std::string socket() const { return directory_ / "s"; }

 private:
  void accept_all() {
    for (int client = 0; (client = ::accept(fd_, nullptr, nullptr)) >= 0;) {
      connections_.emplace_back([this, client] { serve(client); });
    }
  }
  void serve(int client) {
    std::string input;
    char bytes[4096];
    for (ssize_t size = 0; (size = ::read(client, bytes, sizeof bytes)) > 0;) {
      input.append(bytes, static_cast<std::size_t>(size));
      while (const auto words = take_command(input)) {
        const std::string reply = answer_(*words);
        if (::send(client, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) break;
      }
    }
    ::close(client);
  }
  // "*2\r\n$4\r\nPING\r\n…": nothing while it is not complete.
  static std::optional<std::vector<std::string>> take_command(std::string& input) {
    std::size_t at = 0;
    const auto number = [&]() -> std::optional<std::size_t> {
      const std::size_t end = input.find("\r\n", at);
      if (end == std::string::npos) return std::nullopt;
      std::size_t value = 0;
      std::from_chars(input.data() + at + 1, input.data() + end, value);
      at = end + 2;
      return value;
    };
    const auto count = number();
    if (!count) return std::nullopt;
    std::vector<std::string> words;
    for (std::size_t i = 0; i < *count; ++i) {
      const auto size = number();
      if (!size || input.size() < at + *size + 2) return std::nullopt;
      words.push_back(input.substr(at, *size));
      at += *size + 2;
    }
    input.erase(0, at);
    return words;
  }

  TempDir directory_;
  Answer answer_;
  int fd_;
  std::thread acceptor_;
  std::vector<std::thread> connections_;
};

const std::string kId = "email.0123456789abcdef0123456789abcdef";

// What the script of a turn replies: one job, and what it says of attempts.
std::string turn_with(const std::string& again) {
  return "*6\r\n*0\r\n*1\r\n$38\r\n" + kId + "\r\n*1\r\n$7\r\npayload\r\n" + again + ":0\r\n:-1\r\n";
}

}  // namespace

TEST_CASE("a turn whose reply says nothing that it may say of attempts starts no job", "[jobs]") {
  const auto again = GENERATE(as<std::string>(), ":1\r\n", "$-1\r\n", "*1\r\n:1\r\n", "*1\r\n*2\r\n:1\r\n:2\r\n",
                              "*1\r\n*4\r\n:1\r\n:2\r\n:0\r\n:0\r\n", "*1\r\n*3\r\n+one\r\n:2\r\n:0\r\n");
  std::atomic<int> turns = 0;
  AnsweringServer server([&](const std::vector<std::string>& words) -> std::string {
    const bool is_script = words[0] == "EVALSHA" || words[0] == "EVAL";
    if (is_script && words[1] == worker::turn_script().sha1()) {
      switch (++turns) {
        case 1:
          return turn_with(again);
        case 2:
          return turn_with("*1\r\n*3\r\n:1\r\n:2\r\n:1\r\n");
        default:
          return "*6\r\n*0\r\n*0\r\n*0\r\n*0\r\n:0\r\n:-1\r\n";
      }
    }
    if (is_script && words[1] == worker::sync_script().sha1()) return "*4\r\n:0\r\n:0\r\n:0\r\n:0\r\n";
    if (words[0] == "SUBSCRIBE") {
      return "*3\r\n$9\r\nsubscribe\r\n$" + std::to_string(words[1].size()) + "\r\n" + words[1] + "\r\n:1\r\n";
    }
    return "+OK\r\n";
  });
  JobWorker worker(config_for("unix:" + server.socket()), "w");
  int turns_before = 0;
  std::vector<unsigned> attempts;
  worker.job("email", [&](Job& job) {
    turns_before = turns;
    attempts.push_back(job.attempt());
  });
  worker.take_jobs();
  CHECK(worker.wait([&] { return worker.count(Count::jobs_done) == 1; }));
  CHECK(turns_before == 2);
  CHECK(attempts == std::vector<unsigned>{2});
}
