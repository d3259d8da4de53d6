// Certificates of a running server: shown, exchanged by a reload, refused when they do not fit.
#include <signal.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "integration/tls/tls_files.h"
#include "support/catch.h"
#include "support/tls/tls_client.h"

using namespace pronghorn::test;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Clients that load the server over TLS until they are stopped.
class TlsLoad {
 public:
  explicit TlsLoad(Address address) : address_(std::move(address)) {
    threads_.emplace_back([this] { keep_alive(); });
    threads_.emplace_back([this] { connect_again(); });
  }
  ~TlsLoad() { static_cast<void>(stop()); }

  // What has failed, one per line.
  std::string stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return failures_;
  }
  [[nodiscard]] bool wait_for(int more) const {
    const int until = answered_ + more;
    return eventually(20s, [&] { return answered_ >= until; });
  }

 private:
  // As HTTP clients do: a connection that the server has announced to close is replaced.
  void keep_alive() {
    std::unique_ptr<TlsConnection> connection;
    while (!stopping_) ask(connection);
  }
  void connect_again() {
    while (!stopping_) {
      std::unique_ptr<TlsConnection> connection;
      ask(connection);
    }
  }
  // A kept connection may be closed by a server that drains, while it is idle: the request is sent again, as RFC 9112
  // section 9.3.1 allows. On a new connection it must be answered.
  void ask(std::unique_ptr<TlsConnection>& connection) {
    for (;;) {
      const bool is_new = connection == nullptr;
      try {
        if (is_new) connection = std::make_unique<TlsConnection>(address_);
        const auto response = connection->get("/hello");
        if (response.status != 200) record("status " + std::to_string(response.status));
        if (response.closes) connection.reset();
        ++answered_;
        return;
      } catch (const std::exception& error) {
        connection.reset();
        if (!is_new) continue;
        record(error.what());
        return;
      }
    }
  }
  void record(const std::string& failure) {
    const std::lock_guard lock(mutex_);
    failures_ += failure + '\n';
  }

  Address address_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> answered_ = 0;
  std::mutex mutex_;
  std::string failures_;
  std::vector<std::thread> threads_;
};

std::string served_name(const ServerProcess& server) { return TlsConnection(server.address(1)).server_name(); }

}  // namespace

TEST_CASE("a server shows its certificates, and no key", "[tls]") {
  const TlsFiles files;
  const ServerProcess server(files.options());
  CHECK(TlsConnection(server.address(1), {.trust = read_file(files.certificate)}).get("/hello").status == 200);
  const auto shown = server.status().at("server").at("certificates");
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].at("file") == files.certificate);
  CHECK(shown[0].at("names") == "localhost, 127.0.0.1");
  CHECK(shown[0].at("expires_in_s") > 89 * 24 * 3600);
  CHECK(contains(server.control_command({"status"}).out, "for localhost, 127.0.0.1 until "));
  CHECK(contains(get(server.address(), "/metrics").body, "pronghorn_certificate_not_after_timestamp_seconds{file="));
  // Keys are in no place that other users, or a log's readers, can see.
  const std::string secret = read_file(files.key).substr(40, 40);
  for (const pid_t pid : server.processes()) {
    CHECK_FALSE(contains(read_file("/proc/" + std::to_string(pid) + "/cmdline"), secret));
    CHECK_FALSE(contains(read_file("/proc/" + std::to_string(pid) + "/environ"), secret));
  }
  CHECK_FALSE(contains(server.log(), secret));
}

TEST_CASE("a server does not start with a certificate that does not fit its key, and says so", "[tls]") {
  const TlsFiles files;
  TlsFiles::put(files.key, issue().key);
  const ProgramResult result =
      run_program({program_path(), "serve", app_path("demo"), "--redis", "none", "--listen", "https://127.0.0.1:0",
                   "--tls-certificate", files.certificate, "--tls-key", files.key, "--runtime-dir",
                   files.directory / "run", "--data-dir", files.directory / "data"});
  INFO(result.all());
  CHECK(result.status == 2);
  CHECK(contains(result.err, "the certificates cannot be used: " + files.certificate));
}

TEST_CASE("check --deep names certificates that do not fit", "[tls]") {
  const TlsFiles files;
  const auto check = [&files] {
    return run_program({program_path(), "check", "--deep", "--redis", "none", "--listen", "https://127.0.0.1:0",
                        "--tls-certificate", files.certificate, "--tls-key", files.key, "--runtime-dir",
                        files.directory / "run", "--data-dir", files.directory / "data"});
  };
  const ProgramResult good = check();
  INFO(good.all());
  CHECK(good.status == 0);
  CHECK(contains(good.out, "ok      tls_certificate " + files.certificate + " for localhost, 127.0.0.1 until "));
  TlsFiles::put(files.key, issue().key);
  const ProgramResult bad = check();
  INFO(bad.all());
  CHECK(bad.status == 2);
  CHECK(contains(bad.out, "failed  tls_certificate"));
}

TEST_CASE("a reload exchanges the certificate while clients load it, and fails no request", "[tls][reload][load]") {
  const TlsFiles files("first");
  const ServerProcess server(files.options());
  CHECK(served_name(server) == "first");
  TlsLoad load(server.address(1));
  for (const char* name : {"second", "third"}) {
    REQUIRE(load.wait_for(20));
    files.replace(name);
    const ProgramResult result = server.control_command({"reload", "--wait"});
    INFO(result.all());
    CHECK(result.status == 0);
    CHECK(wait_served_name(server.address(1), name));
  }
  REQUIRE(load.wait_for(20));
  CHECK(load.stop().empty());
}

TEST_CASE("a reload with a key of another certificate is refused, and the old one serves on", "[tls][reload]") {
  const TlsFiles files("first");
  const ServerProcess server(files.options());
  const auto workers = server.worker_pids();
  TlsFiles::put(files.certificate, issue({.common_name = "second"}).certificate);
  const ProgramResult result = server.control_command({"reload", "--wait"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(contains(result.err, "the certificates cannot be used: " + files.certificate));
  CHECK(server.log_has("the certificates cannot be used: "));
  CHECK(server.worker_pids() == workers);
  CHECK(served_name(server) == "first");
  // A worker that is replaced meanwhile has the certificate of its generation, not the broken files.
  REQUIRE(::kill(workers[0], SIGKILL) == 0);
  REQUIRE(eventually(20s, [&] { return server.worker_pids() != workers && server.wait_ready(2, 0ms); }));
  CHECK(wait_served_name(server.address(1), "first"));
  files.replace("third");
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(wait_served_name(server.address(1), "third"));
}

TEST_CASE("a rollback serves the certificate of before", "[tls][reload]") {
  const TlsFiles files("first");
  const ServerProcess server(files.options());
  files.replace("second");
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(wait_served_name(server.address(1), "second"));
  REQUIRE(server.control_command({"rollback", "--wait"}).status == 0);
  CHECK(wait_served_name(server.address(1), "first"));
}

TEST_CASE("clients must present a certificate of the authority, which a reload exchanges", "[tls][reload]") {
  const Issued one = issue({.names = {}, .common_name = "authority one", .authority = true});
  const Issued two = issue({.names = {}, .common_name = "authority two", .authority = true});
  const Issued of_one = issue({.names = {}, .common_name = "client", .issuer = &one});
  const Issued of_two = issue({.names = {}, .common_name = "client", .issuer = &two});
  const TlsFiles files;
  const std::string authorities = files.directory / "clients.pem";
  TlsFiles::put(authorities, one.certificate);
  const ServerProcess server(files.options({"--tls-client-ca", authorities, "--tls-client-certificates", "required"}));
  const auto is_served = [&server](const Issued* certificate) {
    try {
      return TlsConnection(server.address(1), {.certificate = certificate}).get("/hello").status == 200;
    } catch (const std::runtime_error&) {  // with TLS 1.3 the refusal comes in place of the response
      return false;
    }
  };
  CHECK(is_served(&of_one));
  CHECK_FALSE(is_served(&of_two));
  CHECK_FALSE(is_served(nullptr));

  TlsFiles::put(authorities, two.certificate);
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(eventually(20s, [&] { return is_served(&of_two) && !is_served(&of_one); }));

  TlsFiles::put(authorities, "-----BEGIN CERTIFICATE-----\n");
  const ProgramResult result = server.control_command({"reload", "--wait"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(contains(result.err, authorities));
  CHECK(is_served(&of_two));
}

// certbot, and editors, write files in place and in parts.
TEST_CASE("files that are being written while they are read never break what is served", "[tls][reload]") {
  const TlsFiles files("a");
  const ServerProcess server(files.options());
  const Issued a = issue({.common_name = "a"});
  const Issued b = issue({.common_name = "b"});
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (bool even = true; !stop; even = !even) {
      const Issued& now = even ? a : b;
      for (const auto& [path, content] :
           {std::pair(files.certificate, now.certificate), std::pair(files.key, now.key)}) {
        write_file(path, content.substr(0, content.size() / 2));
        write_file(path, content);
      }
      std::this_thread::sleep_for(30ms);  // so that some reloads find them whole
    }
  });
  int done = 0;
  for (int i = 0; i < 5; ++i) {
    const ProgramResult result = server.control_command({"reload", "--wait"});
    if (result.status == 0) ++done;
    const std::string served = served_name(server);
    CHECK((served == "a" || served == "b"));
  }
  stop = true;
  writer.join();
  INFO(done << " of 5 reloads went through");
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(TlsConnection(server.address(1)).get("/hello").status == 200);
}
