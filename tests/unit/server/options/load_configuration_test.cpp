#include "server/options/load_configuration.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/options/values/values.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::server;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// A configuration file that is removed again.
class File {
 public:
  explicit File(const std::string& text) {
    std::string pattern = (fs::temp_directory_path() / "pronghorn-XXXXXX").string();
    const int fd = ::mkstemp(pattern.data());
    REQUIRE(fd >= 0);
    ::close(fd);
    path_ = pattern;
    std::ofstream(path_) << text;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::unlink(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

ConfigInputs with_file(const File& file) {
  ConfigInputs inputs;
  inputs.config_file = file.path();
  return inputs;
}

ConfigInputs with_environment(const Environment& environment) {
  ConfigInputs inputs;
  inputs.machine.environment = environment;
  return inputs;
}

std::string refusal(const ConfigInputs& inputs) {
  try {
    (void)load_configuration(inputs);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("without any configuration the defaults apply, and are shown as such", "[configuration]") {
  ConfigInputs inputs;
  inputs.app = "build/examples/demo.so";
  inputs.machine.cores = 3;
  const Effective effective = load_configuration(inputs);
  CHECK(effective.config.listen == std::vector<std::string>{"127.0.0.1:8080"});
  CHECK(effective.config.min_workers == 3);
  CHECK(effective.config.max_workers == 3);
  CHECK(effective.config.name == "demo");
  CHECK(fs::path(effective.config.app).is_absolute());
  CHECK(effective.config.runtime_dir == "/run/pronghorn");
  CHECK(effective.config.control == "/run/pronghorn/control.sock");
  CHECK(effective.config.drain_timeout == 30s);
  CHECK(effective.config.http.max_body == 1024 * 1024);
  CHECK(effective.sources.at("listen") == "default");
  CHECK(effective.sources.at("workers") == "default (auto)");
}

TEST_CASE("command line wins over environment, environment over file, file over default", "[configuration]") {
  const File file("drain_timeout = \"1s\"\nboot_timeout = \"1s\"\nworker_timeout = \"1s\"\n");
  ConfigInputs inputs = with_file(file);
  inputs.machine.environment = {{"PRONGHORN_DRAIN_TIMEOUT", "2s"}, {"PRONGHORN_BOOT_TIMEOUT", "2s"}};
  inputs.command_line = {{"drain_timeout", {"3s"}}};
  const Effective effective = load_configuration(inputs);
  CHECK(effective.config.drain_timeout == 3s);
  CHECK(effective.config.boot_timeout == 2s);
  CHECK(effective.config.worker_timeout == 1s);
  CHECK(effective.config.redis_timeout == 1s);
  CHECK(effective.sources.at("drain_timeout") == "command line");
  CHECK(effective.sources.at("boot_timeout") == "PRONGHORN_BOOT_TIMEOUT");
  CHECK(effective.sources.at("worker_timeout") == file.path() + ":3");
  CHECK(effective.sources.at("redis_timeout") == "default");
}

TEST_CASE("a list is given as arguments, with commas, or as an array or text in the file", "[configuration]") {
  ConfigInputs inputs;
  inputs.command_line = {{"listen", {":1", "[::1]:2"}}};
  CHECK(load_configuration(inputs).config.listen == std::vector<std::string>{":1", "[::1]:2"});
  CHECK(load_configuration(with_environment({{"PRONGHORN_LISTEN", ":1, unix:/x"}})).config.listen ==
        std::vector<std::string>{":1", "unix:/x"});
  const File array("listen = [\":1\", \":2\"]\n");
  CHECK(load_configuration(with_file(array)).config.listen == std::vector<std::string>{":1", ":2"});
  const File text("listen = \":3\"\n");
  CHECK(load_configuration(with_file(text)).config.listen == std::vector<std::string>{":3"});
}

TEST_CASE("a list from a stronger source replaces a weaker one", "[configuration]") {
  const File file("listen = [\":1\", \":2\"]\n");
  ConfigInputs inputs = with_file(file);
  inputs.command_line = {{"listen", {":3"}}};
  CHECK(load_configuration(inputs).config.listen == std::vector<std::string>{":3"});
}

TEST_CASE("an unknown key is refused with its line and the one that was meant", "[configuration]") {
  const File file("\n\nworker = 2\n");
  CHECK(refusal(with_file(file)) == file.path() + ":3: unknown key \"worker\"; did you mean \"workers\"?");
  const File table("[http]\nmax_body = 1\n");
  CHECK(refusal(with_file(table)).find(file.path().substr(0, 5)) == 0);
  CHECK(refusal(with_file(table)).find("unknown table \"http\"; options are keys at the top level") !=
        std::string::npos);
  for (const char* name : {"apps", "App", "application"}) {
    const File misspelt(std::string("[") + name + "]\ngreeting = \"Hello\"\n");
    CHECK(refusal(with_file(misspelt)) == misspelt.path() + ":1: unknown table \"" + name + "\"; did you mean [app]?");
  }
}

TEST_CASE("an unknown variable is refused with the one that was meant", "[configuration]") {
  CHECK(refusal(with_environment({{"PRONGHORN_WORKER", "2"}})) ==
        "unknown variable PRONGHORN_WORKER; did you mean \"PRONGHORN_WORKERS\"?");
  CHECK(refusal(with_environment({{"PRONGHORN_COLOUR", "red"}})) == "unknown variable PRONGHORN_COLOUR");
}

TEST_CASE("the variables that Kubernetes sets for a service called pronghorn are left alone", "[configuration]") {
  const Environment links{{"PRONGHORN_SERVICE_HOST", "10.0.0.7"},         {"PRONGHORN_SERVICE_PORT", "80"},
                          {"PRONGHORN_SERVICE_PORT_HTTP", "80"},          {"PRONGHORN_PORT", "tcp://10.0.0.7:80"},
                          {"PRONGHORN_PORT_80_TCP", "tcp://10.0.0.7:80"}, {"PRONGHORN_PORT_80_TCP_ADDR", "10.0.0.7"},
                          {"PRONGHORN_PORT_80_TCP_PORT", "80"},           {"PRONGHORN_PORT_80_TCP_PROTO", "tcp"},
                          {"PRONGHORN_SHOP_SERVICE_HOST", "10.0.0.8"}};
  CHECK(refusal(with_environment(links)) == "accepted");
  CHECK(refusal(with_environment({{"PRONGHORN_PORT", "8080"}})).find("unknown variable") == 0);
}

TEST_CASE("an invalid value is reported with its place", "[configuration]") {
  const std::string right = "\"30\" is not a duration; use a number with a unit such as 500ms, 30s or 5m";
  ConfigInputs inputs;
  inputs.command_line = {{"drain_timeout", {"30"}}};
  CHECK(refusal(inputs) == "--drain-timeout: " + right);
  CHECK(refusal(with_environment({{"PRONGHORN_DRAIN_TIMEOUT", "30"}})) == "PRONGHORN_DRAIN_TIMEOUT: " + right);
  const File file("# comment\ndrain_timeout = 30\n");
  CHECK(refusal(with_file(file)) == file.path() + ":2: drain_timeout: " + right);
}

TEST_CASE("an invalid value is refused even where it is overridden", "[configuration]") {
  const File file("drain_timeout = 30\n");
  ConfigInputs inputs = with_file(file);
  inputs.command_line = {{"drain_timeout", {"30s"}}};
  CHECK(refusal(inputs).find("is not a duration") != std::string::npos);
}

// The second socket took the first one for that of another server, or, before the embedded Redis, took its place.
TEST_CASE("two Unix sockets with the same path are refused", "[configuration]") {
  const auto refusal_of = [](const std::string& text) {
    const File file("runtime_dir = \"/tmp/run\"\n" + text);
    return refusal(with_file(file));
  };
  CHECK(refusal_of("listen = [\"unix:/tmp/s\"]\ncontrol = \"/tmp/s\"\n")
            .ends_with("listen: /tmp/s is the socket of control as well; choose another path"));
  CHECK(refusal_of("listen = [\"unix:/tmp/run/control.sock\"]\nredis = \"none\"\n")
            .ends_with("listen: /tmp/run/control.sock is the socket of control as well; choose another path"));
  CHECK(refusal_of("listen = [\"unix:/tmp/s\", \"unix:/tmp/./s\"]\n")
            .ends_with("listen: /tmp/./s is given twice; choose another path"));
  CHECK(refusal_of("listen = [\"unix:/tmp/s\"]\nadmin = \"unix:/tmp/x/../s\"\n")
            .ends_with("admin: /tmp/x/../s is the socket of listen as well; choose another path"));
  CHECK(refusal_of("listen = [\"unix:/tmp/run/redis.sock\"]\n")
            .ends_with("listen: /tmp/run/redis.sock is the socket of the embedded Redis; choose another path"));
  CHECK(refusal_of("listen = [\"unix:/tmp/run/redis.sock\"]\nredis = \"none\"\n") == "accepted");
}

TEST_CASE("a value of the wrong shape is refused", "[configuration]") {
  const File list("redis = [\"none\"]\nworkers = [1, 2]\n");
  CHECK(refusal(with_file(list)).find("workers: the option takes one value, not a list") != std::string::npos);
  const File table("[redis]\nurl = 1\n");
  CHECK(refusal(with_file(table)).find("redis: it is a table and should be a value") != std::string::npos);
  const File nested("listen = [[\":1\"]]\n");
  CHECK(refusal(with_file(nested)).find("listen: ") != std::string::npos);
  const File empty("listen = []\n");
  CHECK(refusal(with_file(empty)).find("at least one address") != std::string::npos);
  const File twice("listen = [\"127.0.0.1:8080\"]\nadmin = \"127.0.0.1:8080\"\n");
  CHECK(refusal(with_file(twice)).find("admin: 127.0.0.1:8080 is an address of listen as well") != std::string::npos);
  const File endpoints("ready_path = \"/health\"\n");
  CHECK(refusal(with_file(endpoints)).find("ready_path: /health is health_path as well") != std::string::npos);
  const File off("ready_path = \"off\"\nstatus_path = \"off\"\n");
  CHECK(refusal(with_file(off)) == "accepted");
  const File no_log("log_file = \"off\"\n");
  CHECK(refusal(with_file(no_log)).find("log_file: the log cannot be off") != std::string::npos);
  // They made files of that name.
  for (const char* word : {"true", "false", "\"on\"", "\"no\""}) {
    const File access_log(std::string("access_log = ") + word + "\n");
    CHECK(refusal(with_file(access_log)).find(" is not a path; use - for standard output, off, or a") !=
          std::string::npos);
    const File log_file(std::string("log_file = ") + word + "\n");
    CHECK(refusal(with_file(log_file)).find(" is not a path; use - for standard error, or a") != std::string::npos);
  }
  const File control("log_file = \"a\\u0000b\"\n");
  CHECK(refusal(with_file(control)).find("control character") != std::string::npos);
}

TEST_CASE("a session cookie that browsers would reject is refused, and the line says why", "[configuration]") {
  for (const char* name : {"__Host-session", "__host-session"}) {
    const File both(std::string("session_cookie = \"") + name + "\"\nsession_domain = \"example.org\"\n");
    const std::string why = refusal(with_file(both));
    CHECK(why.starts_with(both.path() + ":2: session_domain: browsers reject a cookie named " + name));
    CHECK(why.find('\n') == std::string::npos);
  }
  for (const char* fine : {"session_cookie = \"__Host-session\"\n", "session_domain = \"example.org\"\n",
                           "session_cookie = \"__Secure-s\"\nsession_domain = \"example.org\"\n",
                           "session_cookie = \"__Host-session\"\nsession_domain = \"off\"\n"}) {
    const File file(fine);
    CHECK(refusal(with_file(file)) == "accepted");
  }
}

TEST_CASE("PORT, REDIS_URL and WEB_CONCURRENCY are honoured", "[configuration]") {
  const Effective effective = load_configuration(
      with_environment({{"PORT", "5000"}, {"REDIS_URL", "redis://:pw@h:1/2"}, {"WEB_CONCURRENCY", "7"}}));
  CHECK(effective.config.listen == std::vector<std::string>{"0.0.0.0:5000"});
  CHECK(effective.config.redis == "redis://:pw@h:1/2");
  CHECK(effective.config.max_workers == 7);
  CHECK(effective.sources.at("listen") == "PORT");
  CHECK(refusal(with_environment({{"PORT", "70000"}})) == "PORT: \"70000\" is not a port; use 0 to 65535");
  CHECK(refusal(with_environment({{"PORT", ""}})) == "accepted");
}

TEST_CASE("a platform's variable is weaker than ours, and not read when overridden", "[configuration]") {
  const Effective effective = load_configuration(with_environment({{"PORT", "x"},
                                                                   {"PRONGHORN_LISTEN", ":1"},
                                                                   {"REDIS_URL", "valkey://h"},
                                                                   {"PRONGHORN_REDIS", "none"},
                                                                   {"WEB_CONCURRENCY", "7"},
                                                                   {"PRONGHORN_WORKERS", "1..2"}}));
  CHECK(effective.config.listen == std::vector<std::string>{":1"});
  CHECK(effective.config.redis == "none");
  CHECK(effective.config.min_workers == 1);
  CHECK(effective.config.max_workers == 2);

  const File file("listen = \":2\"\n");
  ConfigInputs inputs = with_file(file);
  inputs.machine.environment["PORT"] = "3";
  CHECK(load_configuration(inputs).config.listen == std::vector<std::string>{"0.0.0.0:3"});
}

TEST_CASE("PRONGHORN_CONFIG names the file, and --config wins over it", "[configuration]") {
  const File one("backlog = 1\n");
  const File two("backlog = 2\n");
  ConfigInputs inputs = with_environment({{"PRONGHORN_CONFIG", one.path()}});
  CHECK(load_configuration(inputs).config.backlog == 1);
  inputs.config_file = two.path();
  CHECK(load_configuration(inputs).config.backlog == 2);
  CHECK(load_configuration(inputs).file == two.path());
  CHECK(refusal(with_environment({{"PRONGHORN_CONFIG", "/nonexistent.toml"}})).find("/nonexistent.toml") !=
        std::string::npos);
}

TEST_CASE("the [app] table reaches the application", "[configuration]") {
  const File file("[app]\ngreeting = \"hi\"\nlimit = 3\n");
  const Config config = load_configuration(with_file(file)).config;
  CHECK(config.app_settings.at("greeting") == "hi");
  CHECK(config.app_settings.at("limit") == "3");
}

TEST_CASE("a program with its own application gives the default name", "[configuration]") {
  ConfigInputs inputs;
  inputs.program = "/opt/my shop/my shop";
  CHECK(load_configuration(inputs).config.name == "my-shop");
  CHECK(load_configuration(inputs).config.app.empty());
}

TEST_CASE("a directory that is too long for a socket is refused at once", "[configuration]") {
  ConfigInputs inputs;
  inputs.command_line = {{"runtime_dir", {"/" + std::string(100, 'x')}}};
  CHECK(refusal(inputs).find("runtime_dir: ") == 0);
  CHECK(refusal(inputs).find("at most 99") != std::string::npos);
}

TEST_CASE("control commands find their socket whatever else is wrong", "[configuration]") {
  const File file("worker = 2\ndrain_timeout = 30\ncontrol = \"/run/shop.sock\"\n");
  ConfigInputs inputs = with_file(file);
  inputs.machine.environment = {{"PRONGHORN_NONSENSE", "1"}, {"PORT", "x"}};
  CHECK(load_control_configuration(inputs).config.control == "/run/shop.sock");
  inputs.command_line = {{"control", {"/run/other.sock"}}};
  CHECK(load_control_configuration(inputs).config.control == "/run/other.sock");
}

TEST_CASE("commands that are told where their server is do without a file that is malformed", "[configuration]") {
  const File file("workers = = 2\ncontrol = \"/run/shop.sock\"\n");
  ConfigInputs inputs = with_file(file);
  CHECK_THROWS_WITH(load_control_configuration(inputs),
                    Catch::Matchers::EndsWith("; or name the server's socket with --control"));
  CHECK_THROWS_WITH(load_data_configuration(inputs),
                    Catch::Matchers::EndsWith("; or name the directory with --data-dir"));
  inputs.command_line = {{"control", {"/run/other.sock"}}};
  CHECK(load_control_configuration(inputs).config.control == "/run/other.sock");
  inputs.command_line = {};
  inputs.machine.environment = {{"PRONGHORN_DATA_DIR", "/srv/data"}};
  CHECK(load_data_configuration(inputs).config.data_dir == "/srv/data");
}

TEST_CASE("settings of the application come from the file and from PRONGHORN_APP_ variables, which win") {
  const File file("[app]\ngreeting = \"Hello\"\ncolour = \"red\"\n");
  ConfigInputs inputs = with_file(file);
  inputs.machine.environment = {{"PRONGHORN_APP_GREETING", "Hi"},
                                {"PRONGHORN_APP_DB_URL", "postgres://db"},
                                {"PRONGHORN_APP_SERVICE_HOST", "10.0.0.7"}};  // Kubernetes: a Service "pronghorn-app"
  const Effective effective = load_configuration(inputs);
  CHECK(effective.config.app_settings ==
        std::map<std::string, std::string>{{"colour", "red"}, {"db_url", "postgres://db"}, {"greeting", "Hi"}});
  CHECK(effective.app_sources.at("colour") == file.path());
  CHECK(effective.app_sources.at("greeting") == "PRONGHORN_APP_GREETING");
  CHECK(refusal(with_environment({{"PRONGHORN_APPP", "1"}})) != "accepted");
}

namespace {

ConfigInputs with_options(std::vector<GivenOption> options) {
  ConfigInputs inputs;
  inputs.command_line = std::move(options);
  return inputs;
}

}  // namespace

TEST_CASE("https without a certificate is refused, and so is a certificate without https", "[configuration][tls]") {
  CHECK(refusal(with_options({{"listen", {"https://:443"}}})) ==
        "command line: listen: https://:443 needs a certificate; name one with --tls-certificate, or make one with "
        "\"pronghorn certificate --self-signed\"");
  CHECK(refusal(with_options({{"tls_certificate", {"a.pem"}}})) ==
        "command line: tls_certificate: no address of listen begins with https://, such as --listen https://:443");
  CHECK(refusal(with_options({{"listen", {":80", "https://:443"}}, {"tls_certificate", {"a.pem"}}})) == "accepted");
}

TEST_CASE("keys without a certificate are refused", "[configuration][tls]") {
  CHECK(refusal(with_options({{"tls_key", {"a.key"}}})) ==
        "command line: tls_key: there is no certificate for it; name one with --tls-certificate");
  CHECK(refusal(with_options(
            {{"listen", {"https://:443"}}, {"tls_certificate", {"a.pem"}}, {"tls_key", {"a.key", "b.key"}}})) ==
        "command line: tls_key: there are 2 keys for 1 certificate; give each certificate one, in the same order");
}

TEST_CASE("client certificates need https and somebody who signs them", "[configuration][tls]") {
  CHECK(
      refusal(with_options(
          {{"listen", {"https://:443"}}, {"tls_certificate", {"a.pem"}}, {"tls_client_certificates", {"required"}}})) ==
      "command line: tls_client_certificates: nobody could sign them; name the authorities with --tls-client-ca");
  CHECK(refusal(with_options({{"tls_client_ca", {"ca.pem"}}, {"tls_client_certificates", {"optional"}}})) ==
        "command line: tls_client_certificates: no address of listen begins with https://");
}

TEST_CASE("a redirect to https needs something that serves https", "[configuration][tls]") {
  CHECK(refusal(with_options({{"redirect_http", {"true"}}})) ==
        "command line: redirect_http: no address of listen begins with https://, so there is nothing to redirect to");
  CHECK(refusal(with_options({{"redirect_http", {"true"}}, {"trusted_proxies", {"10.0.0.0/8"}}})) == "accepted");
}

TEST_CASE("files of TLS are found whatever directory the server changes to", "[configuration][tls]") {
  const Config config = load_configuration(with_options({{"listen", {"https://:443"}},
                                                         {"tls_certificate", {"a.pem", "/etc/b.pem"}},
                                                         {"tls_key", {"a.key"}},
                                                         {"tls_client_ca", {"ca.pem"}}}))
                            .config;
  const std::string here = fs::current_path().string() + "/";
  CHECK(config.tls_certificate == std::vector<std::string>{here + "a.pem", "/etc/b.pem"});
  CHECK(config.tls_key == std::vector<std::string>{here + "a.key"});
  CHECK(config.tls_client_ca == here + "ca.pem");
}
