// The privileges of the processes of a server that root has started.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "integration/tls/tls_files.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"
#include "support/system/root.h"
#include "support/tls/tls_client.h"

using namespace pronghorn::test;

namespace {

constexpr std::uint64_t kBindService = 1U << 10;  // CAP_NET_BIND_SERVICE
constexpr std::uint64_t kReadSearch = 1U << 2;    // CAP_DAC_READ_SEARCH

// A line of /proc/PID/status without its name: "0\t0\t0\t0" for "Uid".
std::string status_line(pid_t pid, const std::string& name) {
  std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  }
  return {};
}

std::uint64_t capabilities(pid_t pid, const std::string& set) {
  return std::stoull(status_line(pid, set), nullptr, 16);
}

// Of the supervisor's children: workers, and redis-server.
void check_without_privileges(pid_t pid) {
  INFO(command_line(pid));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) CHECK(capabilities(pid, set) == 0);
  CHECK(status_line(pid, "NoNewPrivs") == "1");
}

// The program, its library and an application in a folder that every user can read: the build may be in root's home.
struct PublicCopy {
  TempDir directory;

  PublicCopy() {
    ::chmod(directory.path().c_str(), 0755);
    for (const std::string file : {"/pronghorn", "/libpronghorn.so", "/examples/hello.so"}) {
      const std::filesystem::path source = std::filesystem::canonical(build_path(file));
      const std::string name = file.ends_with(".so") ? readlink_soname(file) : "pronghorn";
      std::filesystem::copy_file(source, directory.path() / name);
    }
  }
  // The loader asks for the library by its SONAME.
  static std::string readlink_soname(const std::string& file) {
    std::error_code not_a_link;
    const auto target = std::filesystem::read_symlink(build_path(file), not_a_link);
    return not_a_link ? std::filesystem::path(file).filename() : target.filename();
  }
};

// A port below 1024 on an address that no other test uses: all of 127.0.0.0/8 is this machine.
std::string low_port() {
  const int pid = ::getpid();
  return "127." + std::to_string(1 + (pid >> 16)) + "." + std::to_string(pid >> 8 & 255) + "." +
         std::to_string(pid & 255) + ":600";
}

}  // namespace

TEST_CASE("workers, distributor and Redis have no capabilities and cannot gain any", "[privileges]") {
  const ServerProcess server({.workers = 2, .redis = {}, .arguments = {"--balance", "round-robin"}});
  REQUIRE(server.wait_redis());
  const auto children = children_without_guardians(server.pid());
  CHECK(children.size() == 4);
  for (const pid_t pid : children) check_without_privileges(pid);
}

TEST_CASE("the log warns when workers run as root", "[privileges]") {
  const ServerProcess server({.workers = 1});
  CHECK(server.log_has("workers run as root") == (::geteuid() == 0));
}

// certbot's files: only root can read the key.
TEST_CASE("a server with --user reads keys that only root can read, also at a reload and after an upgrade",
          "[privileges][tls]") {
  if (!can_change_user()) return;
  const PublicCopy copy;
  const std::string folder = copy.directory.path();
  const TlsFiles files;  // in a folder of mode 0700, files of mode 0600
  ServerOptions options = files.options({"--user", "nobody", "--group", "nogroup", "--runtime-dir", folder + "/new/run",
                                         "--data-dir", folder + "/new/data"});
  options.command = {folder + "/pronghorn", "serve", folder + "/hello.so"};
  options.workers = 1;
  const ServerProcess server(options);
  const auto check = [&](const std::string& name) {
    CHECK(wait_served_name(server.address(1), name));
    CHECK(status_line(server.pid(), "Uid") == "65534\t65534\t65534\t65534");
    CHECK(capabilities(server.pid(), "CapPrm") == (kBindService | kReadSearch));
    for (const char* set : {"CapInh", "CapEff", "CapAmb"}) CHECK(capabilities(server.pid(), set) == kBindService);
    for (const pid_t pid : children_without_guardians(server.pid())) check_without_privileges(pid);
  };
  const auto command = [&](std::vector<std::string> words) {
    words.insert(words.begin(), folder + "/pronghorn");
    words.insert(words.end(), {"--control", folder + "/new/run/control.sock"});
    const ProgramResult result = run_program(words);
    INFO(result.all());
    CHECK(result.status == 0);
  };
  check("first");
  files.replace("second");
  command({"reload", "--wait"});
  check("second");
  files.replace("third");
  command({"upgrade"});
  check("third");
  files.replace("fourth");
  command({"reload", "--wait"});
  check("fourth");
}

// What AmbientCapabilities= of a systemd unit does.
TEST_CASE("a server of another user that has the right to read files uses it for certificates only",
          "[privileges][tls]") {
  if (!can_change_user()) return;
  const PublicCopy copy;
  const std::string folder = copy.directory.path();
  const TlsFiles files;
  std::filesystem::create_directory(folder + "/new");
  REQUIRE(::chown((folder + "/new").c_str(), 65534, 65534) == 0);
  ServerOptions options = files.options({"--runtime-dir", folder + "/new/run", "--data-dir", folder + "/new/data"});
  const std::string rights = "+net_bind_service,+dac_read_search";
  options.command = {"setpriv",
                     "--reuid",
                     "65534",
                     "--regid",
                     "65534",
                     "--clear-groups",
                     "--inh-caps",
                     rights,
                     "--ambient-caps",
                     rights,
                     folder + "/pronghorn",
                     "serve",
                     folder + "/hello.so"};
  options.workers = 1;
  const ServerProcess server(options);
  CHECK(capabilities(server.pid(), "CapPrm") == (kBindService | kReadSearch));
  for (const char* set : {"CapInh", "CapEff", "CapAmb"}) CHECK(capabilities(server.pid(), set) == kBindService);
  for (const pid_t pid : children_without_guardians(server.pid())) check_without_privileges(pid);
  files.replace("second");
  const ProgramResult result =
      run_program({folder + "/pronghorn", "reload", "--wait", "--control", folder + "/new/run/control.sock"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(wait_served_name(server.address(1), "second"));
}

TEST_CASE("a server with --user whose certificates everybody may read keeps no right to read files",
          "[privileges][tls]") {
  if (!can_change_user()) return;
  const PublicCopy copy;
  const std::string folder = copy.directory.path();
  const TlsFiles files;
  ::chmod(files.directory.path().c_str(), 0755);
  for (const std::string& path : {files.certificate, files.key}) ::chmod(path.c_str(), 0644);
  ServerOptions options = files.options({"--user", "nobody", "--group", "nogroup", "--runtime-dir", folder + "/new/run",
                                         "--data-dir", folder + "/new/data"});
  options.command = {folder + "/pronghorn", "serve", folder + "/hello.so"};
  options.workers = 1;
  const ServerProcess server(options);
  CHECK(capabilities(server.pid(), "CapPrm") == kBindService);
  CHECK(server.log_has("every user of this machine can read the private key"));
}

TEST_CASE("the whole server runs as the user of --user, on a port below 1024 as well", "[privileges]") {
  if (!can_change_user()) return;
  const PublicCopy copy;
  const std::string folder = copy.directory.path();
  ServerProcess server({.command = {folder + "/pronghorn", "serve", folder + "/hello.so"},
                        .workers = 1,
                        .redis = "embedded",
                        .listen = {low_port()},
                        .arguments = {"--user", "nobody", "--group", "nogroup", "--runtime-dir", folder + "/new/run",
                                      "--data-dir", folder + "/new/data"}});
  REQUIRE(server.wait_redis());
  CHECK_FALSE(server.log_has("workers run as root"));
  CHECK(status_line(server.pid(), "Uid") == "65534\t65534\t65534\t65534");
  CHECK(status_line(server.pid(), "Gid") == "65534\t65534\t65534\t65534");
  CHECK(capabilities(server.pid(), "CapEff") == kBindService);
  for (const pid_t pid : children_without_guardians(server.pid())) {
    CHECK(status_line(pid, "Uid") == "65534\t65534\t65534\t65534");
    check_without_privileges(pid);
  }
  // A slot that is added later binds the port again; a reload copies the application into the user's folder
  // and goes back to one worker.
  server.signal(SIGTTIN);
  REQUIRE(server.wait_ready(2));
  const auto before = server.worker_pids();
  server.signal(SIGHUP);
  REQUIRE(eventually(20s, [&] {
    const auto now = server.worker_pids();
    return !now.empty() && now.at(0) != 0 && now.at(0) != before.at(0) && server.wait_ready(1, 0ms);
  }));
}

// The lines of deploy/systemd/pronghorn.service that let an unprivileged server listen on port 443, carried out as
// systemd does.
TEST_CASE("the capabilities of the systemd unit suffice for a port below 1024", "[privileges][systemd]") {
  if (!can_change_user()) return;
  const std::string unit = read_file(source_path("/deploy/systemd/pronghorn.service"));
  for (const char* line : {"\nDynamicUser=yes\n", "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n",
                           "\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n", "\nNoNewPrivileges=yes\n"}) {
    CAPTURE(line);
    CHECK(unit.find(line) != std::string::npos);
  }
  const PublicCopy copy;
  const std::string folder = copy.directory.path();
  for (const char* name : {"/run", "/data"}) {
    std::filesystem::create_directory(folder + name);
    REQUIRE(::chown((folder + name).c_str(), 65534, 65534) == 0);
  }
  const std::string only = "-all,+net_bind_service";
  const ServerProcess server({.command = {"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                                          "--no-new-privs", "--inh-caps", only, "--ambient-caps", only,
                                          "--bounding-set", only, folder + "/pronghorn", "serve", folder + "/hello.so"},
                              .workers = 1,
                              .listen = {low_port()},
                              .arguments = {"--runtime-dir", folder + "/run", "--data-dir", folder + "/data"}});
  CHECK(get(server.address(), "/hello/Ann").status == 200);
  CHECK(status_line(server.pid(), "Uid") == "65534\t65534\t65534\t65534");
  CHECK(capabilities(server.pid(), "CapBnd") == kBindService);
  for (const pid_t pid : children_without_guardians(server.pid())) check_without_privileges(pid);
  server.signal(SIGTTIN);  // a slot that is added later has a socket of its own on that port
  CHECK(server.wait_ready(2));
}

TEST_CASE("a data_dir of another user is told at start, not at the first crash", "[privileges]") {
  if (!can_change_user()) return;
  const PublicCopy copy;
  const std::string folder = copy.directory.path();
  std::filesystem::create_directory(folder + "/data");
  std::filesystem::permissions(folder + "/data", std::filesystem::perms::owner_all);
  const ServerProcess server({.command = {folder + "/pronghorn", "serve", folder + "/hello.so"},
                              .workers = 1,
                              .arguments = {"--user", "nobody", "--group", "nogroup", "--runtime-dir",
                                            folder + "/new/run", "--data-dir", folder + "/data"}});
  CHECK(get(server.address(), "/hello/Ann").status == 200);
  CHECK(server.log_lines("crash reports cannot be written to data_dir").size() == 1);
}

// The start reads the file as root; only a reload found out, days later.
TEST_CASE("a configuration file that only root can read is told at start, and by check --deep", "[privileges]") {
  if (!can_change_user()) return;
  const PublicCopy copy;
  const std::string folder = copy.directory.path();
  const std::string file = folder + "/shop.toml";
  write_file(file, "workers = 1\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  const std::vector<std::string> options{"--config",      file,
                                         "--user",        "nobody",
                                         "--group",       "nogroup",
                                         "--redis",       "none",
                                         "--runtime-dir", folder + "/new/run",
                                         "--data-dir",    folder + "/new/data"};
  const std::string warning = "configuration file " + file + ": the user that runs the server cannot read it";
  {
    const ServerProcess server({.command = {folder + "/pronghorn", "serve", folder + "/hello.so"},
                                .workers = 0,
                                .redis = {},
                                .arguments = options});
    CHECK(server.log_lines(warning).size() == 1);
  }
  std::vector<std::string> check{folder + "/pronghorn", "check", "--deep", "--listen", "127.0.0.1:0"};
  check.insert(check.end(), options.begin(), options.end());
  const ProgramResult unreadable = run_program(check);
  INFO(unreadable.all());
  CHECK(unreadable.status == 0);
  CHECK(unreadable.out.find("warning " + warning) != std::string::npos);

  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  const ProgramResult readable = run_program(check);
  INFO(readable.all());
  CHECK(readable.status == 0);
  CHECK(readable.out.find("warning configuration file") == std::string::npos);
}

// Its response from the authority was forgotten: the right to read was given up, and every reload failed.
TEST_CASE("a server with --user reads a stapled response that only root can read at each reload", "[privileges][tls]") {
  if (!can_change_user()) return;
  const PublicCopy copy;
  const std::string folder = copy.directory.path();
  const TlsFiles files;
  write_file(files.certificate + ".ocsp", "");
  REQUIRE(::chmod((files.certificate + ".ocsp").c_str(), 0600) == 0);
  for (const std::string& path : {files.certificate, files.key}) REQUIRE(::chmod(path.c_str(), 0644) == 0);
  REQUIRE(::chmod(std::filesystem::path(files.certificate).parent_path().c_str(), 0755) == 0);
  ServerOptions options = files.options({"--user", "nobody", "--group", "nogroup", "--runtime-dir", folder + "/new/run",
                                         "--data-dir", folder + "/new/data"});
  options.command = {folder + "/pronghorn", "serve", folder + "/hello.so"};
  options.workers = 1;
  const ServerProcess server(options);
  const ProgramResult reload =
      run_program({folder + "/pronghorn", "reload", "--wait", "--control", folder + "/new/run/control.sock"});
  INFO(reload.all());
  CHECK(reload.status == 0);
}

TEST_CASE("a user or group that does not exist is refused", "[privileges]") {
  const TempDir directory;
  for (const auto& [option, name] : {std::pair{"--user", "nobody-by-this-name"}, {"--group", "no-such-group"}}) {
    const ProgramResult result = run_program({program_path(), "serve", app_path("hello"), option, name}, {}, 20s);
    CHECK(result.status == 2);
    CHECK(result.err.find(std::string(name) + ": no such ") != std::string::npos);
  }
}
