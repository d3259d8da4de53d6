// Balances with which a distributor accepts and passes connections: what it holds, what it does when workers are full
// or descriptors are short, and how it leaves.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <vector>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

constexpr const char* kGet = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

ServerOptions balanced(const std::string& balance, std::vector<std::string> more = {}) {
  ServerOptions options{.workers = 2, .arguments = {"--balance", balance}};
  options.arguments.insert(options.arguments.end(), more.begin(), more.end());
  return options;
}

// A server whose processes may have this many descriptors.
ServerOptions limited(int descriptors, const std::string& balance) {
  ServerOptions options = balanced(balance);
  options.command = {"/bin/sh",      "-c",    "ulimit -n " + std::to_string(descriptors) + "; exec \"$0\" \"$@\"",
                     program_path(), "serve", app_path("demo")};
  return options;
}

// 0: none runs.
pid_t find_distributor(const ServerProcess& server) {
  for (const pid_t pid : children_of(server.pid())) {
    if (command_line(pid).find("pronghorn distributor") != std::string::npos) return pid;
  }
  return 0;
}

pid_t distributor_of(const ServerProcess& server) {
  const pid_t pid = find_distributor(server);
  REQUIRE(pid > 0);
  return pid;
}

// Waits until another distributor than `old` runs.
pid_t next_distributor(const ServerProcess& server, pid_t old) {
  pid_t found = 0;
  REQUIRE(eventually(20s, [&] {
    found = find_distributor(server);
    return found != 0 && found != old;
  }));
  return found;
}

void limit_descriptors(pid_t pid, rlim_t soft, rlimit* before = nullptr) {
  rlimit limit{};
  REQUIRE(::prlimit(pid, RLIMIT_NOFILE, nullptr, &limit) == 0);
  if (before != nullptr) *before = limit;
  limit.rlim_cur = soft;
  REQUIRE(::prlimit(pid, RLIMIT_NOFILE, &limit, nullptr) == 0);
}

// The inode of the server's end of a connection over IPv4; empty: there is none.
std::string server_inode(const ServerProcess& server, const HttpConnection& client) {
  std::istringstream lines(read_file("/proc/net/tcp"));
  for (std::string line; std::getline(lines, line);) {
    unsigned long here = 0;
    unsigned long there = 0;
    char rest[256] = {};
    if (std::sscanf(line.c_str(), " %*d: %*8[0-9A-F]:%lx %*8[0-9A-F]:%lx %255[^\n]", &here, &there, rest) != 3)
      continue;
    if (here != server.address().port || there != client.local_port()) continue;
    std::istringstream fields(rest);  // state, queues, timer, retransmissions, user, timeout, inode
    std::string field;
    for (int i = 0; i < 7; ++i) fields >> field;
    return field;
  }
  return {};
}

bool holds_socket(pid_t pid, const std::string& inode) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error)) {
    if (std::filesystem::read_symlink(entry.path(), error) == "socket:[" + inode + "]") return true;
  }
  return false;
}

}  // namespace

// Each lost confirmation kept a descriptor for good, so silent clients that left again stopped the server, and the
// control socket with it.
TEST_CASE("4,200 silent clients that leave again cost no descriptor, and commands work meanwhile", "[passing]") {
  const ServerProcess server(limited(1024, "ip-hash"));
  REQUIRE(get(server.address(), "/hello").status == 200);
  const pid_t distributor = distributor_of(server);
  const std::size_t before = open_descriptors(server.pid());
  const std::size_t before_there = open_descriptors(distributor);
  for (int round = 0; round < 6; ++round) {
    std::vector<HttpConnection> silent;
    for (int i = 0; i < 700; ++i) silent.emplace_back(server.address());
    CHECK(server.control_command({"status", "--json"}).status <= 1);  // 1: degraded, but it answers
  }
  CHECK(eventually(20s, [&] { return get(server.address(), "/hello").status == 200; }));
  CHECK(eventually(20s, [&] { return open_descriptors(server.pid()) <= before + 2; }));
  CHECK(eventually(20s, [&] { return open_descriptors(distributor) <= before_there + 2; }));
  CHECK(distributor_of(server) == distributor);
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(get(server.address(), "/hello").status == 200);
}

TEST_CASE("more silent clients than all processes have descriptors for do not stop commands", "[passing]") {
  const ServerProcess server(limited(256, "ip-hash"));
  {
    std::vector<HttpConnection> silent;
    for (int i = 0; i < 700; ++i) silent.emplace_back(server.address());
    CHECK(server.control_command({"status", "--json"}).status <= 1);
    CHECK(server.control_command({"scale", "3"}).status == 0);
    CHECK(server.control_command({"scale", "2"}).status == 0);
  }
  CHECK(eventually(20s, [&] { return get(server.address(), "/hello").status == 200; }));
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
}

TEST_CASE("a connection is passed to a worker that has room, and waits when none has", "[passing]") {
  const ServerProcess server(balanced("round-robin", {"--max-connections", "4"}));
  std::vector<HttpConnection> kept;
  for (int i = 0; i < 8; ++i) REQUIRE(kept.emplace_back(server.address()).get("/hello").status == 200);
  HttpConnection waiting(server.address(), 20s);
  waiting.send_raw(kGet);
  CHECK_FALSE(waiting.readable_within(300ms));
  kept.pop_back();
  CHECK(waiting.read_response().status == 200);
}

TEST_CASE("a client whose worker dies before it has taken the connection goes to another", "[passing]") {
  const ServerProcess server(balanced("round-robin", {"--worker-timeout", "2s"}));
  const pid_t stopped = server.worker_pids().at(0);
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 10; ++i) waiting.emplace_back(server.address(), 20s).send_raw(kGet);
  for (HttpConnection& connection : waiting) CHECK(connection.read_response().status == 200);
  CHECK(eventually(10s, [&] { return !is_running(stopped); }));
}

TEST_CASE("connections that a worker was passed before it stood still are served by others meanwhile", "[passing]") {
  const ServerProcess server(balanced("round-robin", {"--worker-timeout", "10m"}));
  const pid_t stopped = server.worker_pids().at(0);
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  std::vector<HttpConnection> connections;
  for (int i = 0; i < 6; ++i) connections.emplace_back(server.address(), 20s).send_raw(kGet);
  for (HttpConnection& connection : connections) CHECK(connection.read_response().status == 200);
  REQUIRE(::kill(stopped, SIGCONT) == 0);
  for (HttpConnection& connection : connections) CHECK(connection.get("/hello").status == 200);
}

// The stopped worker's queue still holds a copy of each descriptor.
TEST_CASE("clients see the end of a connection that another worker has taken over", "[passing]") {
  const ServerProcess server(balanced("round-robin", {"--worker-timeout", "10m"}));
  const pid_t stopped = server.worker_pids().at(0);
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  for (int i = 0; i < 4; ++i) {
    HttpConnection connection(server.address(), 20s);
    CHECK(connection.get("/hello", {{"Connection", "close"}}).status == 200);
    CHECK(connection.closed_within(20s));
  }
  REQUIRE(::kill(stopped, SIGCONT) == 0);
}

// It was served by two: the guardian handed it over, and the distributor passed it on, because it was not confirmed
// yet.
TEST_CASE("a connection whose first request crashes its worker is served by one other worker", "[passing]") {
  ServerOptions options = balanced("round-robin");
  options.workers = 3;
  options.environment = kPlainSignals;
  const ServerProcess server(options);
  HttpConnection connection(server.address());
  CHECK(connection.request("POST", "/crash?how=segv").status == 500);
  REQUIRE(server.wait_ready(3));
  CHECK(connection.get("/hello").status == 200);
  const std::string inode = server_inode(server, connection);
  REQUIRE_FALSE(inode.empty());
  const auto workers = server.worker_pids();
  CHECK(std::ranges::count_if(workers, [&](pid_t pid) { return holds_socket(pid, inode); }) == 1);
}

TEST_CASE("a worker that stood still gets connections again when it goes on", "[passing]") {
  const ServerProcess server(balanced("round-robin"));
  const auto workers = server.worker_pids();
  REQUIRE(::kill(workers.at(0), SIGSTOP) == 0);
  REQUIRE(eventually(10s, [&] { return process_state(workers.at(0)) == 'T'; }));
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 4; ++i) waiting.emplace_back(server.address()).send_raw(kGet);
  REQUIRE(::kill(workers.at(0), SIGCONT) == 0);
  for (HttpConnection& connection : waiting) CHECK(connection.read_response().status == 200);
  const auto accepted = [&] { return server.worker(0).at("accepted").get<int>(); };
  const int before = accepted();
  CHECK(eventually(10s, [&] { return get(server.address(), "/hello").status == 200 && accepted() >= before + 2; }));
  CHECK(server.worker_pids() == workers);
}

TEST_CASE("only balances that pass connections have a distributor", "[passing]") {
  const ServerProcess usual({.workers = 2});
  CHECK(find_distributor(usual) == 0);
  CHECK(usual.status().at("distributor").is_null());
  const ServerProcess server(balanced("random"));
  CHECK(server.status().at("distributor").at("pid") == distributor_of(server));
}

TEST_CASE("the supervisor never holds the socket of a client", "[passing]") {
  const ServerProcess server(balanced("cookie-hash"));
  const pid_t distributor = distributor_of(server);
  const auto workers = server.worker_pids();
  for (const pid_t worker : workers) REQUIRE(::kill(worker, SIGSTOP) == 0);
  HttpConnection client(server.address(), 20s);
  client.send_raw("GET /hello HTTP/1.1\r\nHost: a\r\nCookie: session=x\r\n\r\n");
  std::string inode;
  REQUIRE(eventually(5s, [&] {
    inode = server_inode(server, client);
    return !inode.empty() && inode != "0" && holds_socket(distributor, inode);
  }));
  CHECK_FALSE(holds_socket(server.pid(), inode));
  for (const pid_t worker : workers) REQUIRE(::kill(worker, SIGCONT) == 0);
  CHECK(client.read_response().status == 200);
  CHECK_FALSE(holds_socket(server.pid(), inode));
}

TEST_CASE("a distributor that is killed is replaced at once, and open connections go on", "[passing][kill]") {
  const ServerProcess server(balanced("ip-hash"));
  HttpConnection open(server.address());
  REQUIRE(open.get("/hello").status == 200);
  pid_t distributor = distributor_of(server);
  for (int i = 1; i <= 3; ++i) {
    REQUIRE(::kill(distributor, SIGKILL) == 0);
    distributor = next_distributor(server, distributor);
    CHECK(open.get("/hello").status == 200);
    CHECK(eventually(10s, [&] { return get(server.address(), "/hello").status == 200; }));
    CHECK(server.log_lines("the distributor (pid").size() == static_cast<std::size_t>(i));
    CHECK(eventually(10s, [&] { return server.status().at("distributor").at("restarts") == i; }));
    // One that ends within 100 ms is restarted with a delay.
    CHECK(eventually(10s, [&] { return server.status().at("distributor").at("uptime_s") > 0.3; }));
  }
  CHECK(server.log_lines("restarting it ").size() == 3);
  // Its slot once had a number there, which means nothing to whoever reads it.
  for (const std::string& line : server.log_lines("the distributor (pid")) {
    CHECK(line.find(" slot=distributor ") != std::string::npos);
  }
  CHECK(server.status().at("totals").at("restarts") == 0);
}

TEST_CASE("killing the distributor under load costs at most the connections inside it", "[passing][load]") {
  const ServerProcess server(balanced("least-connections"));
  LoadGenerator load(server.address(), {.threads = 4, .keep_alive = false});
  REQUIRE(load.wait_for(100));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(::kill(distributor_of(server), SIGKILL) == 0);
    REQUIRE(load.wait_for(200, 20s));
  }
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.failed() <= 12);  // each of the four clients has one connection
}

TEST_CASE("connections that wait in the accept queue are served when the distributor has died", "[passing][kill]") {
  const ServerProcess server(balanced("round-robin"));
  const pid_t distributor = distributor_of(server);
  REQUIRE(::kill(distributor, SIGSTOP) == 0);
  REQUIRE(eventually(5s, [&] { return process_state(distributor) == 'T'; }));
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 20; ++i) waiting.emplace_back(server.address(), 20s).send_raw(kGet);
  REQUIRE(::kill(distributor, SIGKILL) == 0);
  for (HttpConnection& connection : waiting) CHECK(connection.read_response().status == 200);
}

// Nobody could connect for the 30 s of worker_timeout.
TEST_CASE("a distributor that hangs is replaced long before worker_timeout", "[passing][kill]") {
  const ServerProcess server(balanced("round-robin", {"--worker-timeout", "1h"}));
  const pid_t distributor = distributor_of(server);
  REQUIRE(::kill(distributor, SIGSTOP) == 0);
  HttpConnection waiting(server.address(), 60s);
  waiting.send_raw(kGet);
  CHECK(waiting.read_response().status == 200);
  CHECK(next_distributor(server, 0) != distributor);
}

TEST_CASE("a distributor without descriptors pauses, says so once, and commands work meanwhile", "[passing]") {
  const ServerProcess server(balanced("round-robin"));
  const pid_t distributor = distributor_of(server);
  REQUIRE(get(server.address(), "/hello").status == 200);  // it is linked with workers
  rlimit before{};
  limit_descriptors(distributor, 3, &before);
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 20; ++i) waiting.emplace_back(server.address(), 20s).send_raw(kGet);
  REQUIRE(eventually(10s, [&] { return server.log_has("accepting is paused"); }));
  CHECK(server.control_command({"status", "--json"}).status == 0);
  CHECK(server.control_command({"scale", "3"}).status == 0);
  CHECK(server.control_command({"scale", "2"}).status == 0);
  REQUIRE(eventually(10s, [&] {
    const auto status = nlohmann::json::parse(server.control_command({"status", "--json"}).out);
    return status.at("distributor").at("accept_pauses") >= 4;
  }));
  CHECK(server.log_lines("accepting is paused").size() == 1);
  limit_descriptors(distributor, before.rlim_cur);
  for (HttpConnection& connection : waiting) CHECK(connection.read_response().status == 200);
  CHECK(eventually(10s, [&] { return server.log_has("accepting again after"); }));
  CHECK(server.log_lines("accepting again after").size() == 1);
  CHECK(distributor_of(server) == distributor);
}

TEST_CASE("a link that a worker had no descriptor for is made again", "[passing]") {
  const ServerProcess server({.workers = 1, .arguments = {"--balance", "round-robin"}});
  const pid_t worker = server.worker_pids().at(0);
  rlimit before{};
  limit_descriptors(worker, 3, &before);
  REQUIRE(::kill(distributor_of(server), SIGKILL) == 0);
  HttpConnection waiting(server.address(), 20s);
  waiting.send_raw(kGet);
  CHECK_FALSE(waiting.readable_within(1s));
  limit_descriptors(worker, before.rlim_cur);
  CHECK(waiting.read_response().status == 200);
  CHECK(server.worker_pids().at(0) == worker);
}

TEST_CASE("a reload replaces the distributor without losing a connection", "[passing][load]") {
  const ServerProcess server(balanced("round-robin"));
  const pid_t distributor = distributor_of(server);
  LoadGenerator load(server.address(), {.threads = 4, .keep_alive = false});
  REQUIRE(load.wait_for(100));
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(next_distributor(server, distributor) != 0);
  CHECK(server.control_command({"scale", "3"}).status == 0);
  CHECK(server.control_command({"scale", "1"}).status == 0);
  REQUIRE(load.wait_for(100));
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.failed() == 0);
  CHECK(eventually(10s, [&] { return !is_running(distributor); }));
}

TEST_CASE("an upgrade keeps the distributor until the new program has replaced it", "[passing][load]") {
  const ServerProcess server(balanced("cookie-hash"));
  const pid_t distributor = distributor_of(server);
  LoadGenerator load(server.address(), {.threads = 4, .keep_alive = false});
  REQUIRE(load.wait_for(100));
  CHECK(server.control_command({"upgrade"}).status == 0);
  CHECK(next_distributor(server, distributor) != 0);
  REQUIRE(load.wait_for(100));
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.failed() == 0);
}

TEST_CASE("a server that stops answers everybody who has connected", "[passing][drain]") {
  ServerProcess server(balanced("ip-hash"));
  const pid_t distributor = distributor_of(server);
  REQUIRE(::kill(distributor, SIGSTOP) == 0);
  REQUIRE(eventually(5s, [&] { return process_state(distributor) == 'T'; }));
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 50; ++i) waiting.emplace_back(server.address(), 20s).send_raw(kGet);
  server.signal(SIGTERM);
  REQUIRE(eventually(5s, [&] { return server.log_has("stopping: finishing requests in flight"); }));
  REQUIRE(::kill(distributor, SIGCONT) == 0);
  for (HttpConnection& connection : waiting) CHECK(connection.read_response().status == 200);
  CHECK(server.wait_exit(10s) == ExitStatus{.code = 0, .signal = 0});
}

// New connections waited in the accept queue, and were reset at the end.
TEST_CASE("during drain_delay new connections are served", "[passing][drain]") {
  ServerProcess server(balanced("round-robin", {"--drain-delay", "2s"}));
  server.signal(SIGTERM);
  REQUIRE(eventually(5s, [&] { return server.log_has("stopping: finishing requests in flight"); }));
  for (int i = 0; i < 4; ++i) CHECK(get(server.address(), "/hello").status == 200);
  CHECK(server.wait_exit(10s) == ExitStatus{.code = 0, .signal = 0});
}

TEST_CASE("kill -9 of the supervisor ends its distributor, too", "[passing][kill]") {
  ServerProcess server(balanced("round-robin"));
  LoadGenerator load(server.address(), {.threads = 2});
  REQUIRE(load.wait_for(50));
  server.signal(SIGKILL);
  REQUIRE(server.wait_exit(5s).has_value());
  CHECK(eventually(9s, [&] { return server.processes().empty(); }));
  (void)load.stop();
}

TEST_CASE("connections over a Unix socket and behind a PROXY header are passed, too", "[passing]") {
  const TempDir directory;
  const ServerProcess server({.workers = 2,
                              .listen = {"127.0.0.1:0", "unix:" + directory.path().string() + "/http.sock"},
                              .arguments = {"--balance", "cookie-hash", "--proxy-protocol", "127.0.0.1"}});
  HttpConnection proxied(server.address());
  proxied.send_raw("PROXY TCP4 192.0.2.7 127.0.0.1 56280 80\r\n" + std::string(kGet));
  CHECK(proxied.read_response().status == 200);
  HttpConnection local(server.address(1));
  CHECK(local.get("/hello").status == 200);
}
