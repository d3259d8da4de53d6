#include "support/processes/proxy.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "support/catch.h"
#include "support/failure_log.h"
#include "support/paths.h"

namespace pronghorn::test {

bool is_installed(const char* program) {
  if (std::filesystem::exists(program)) return true;
  WARN("skipped: " << program << " is not installed (./scripts/setup deploy)");
  return false;
}

std::string proxy_example(std::string_view section, const std::string& language) {
  const std::string page = read_file(source_path("/docs/proxies.md"));
  const std::size_t heading = page.find("\n## " + std::string(section) + "\n");
  REQUIRE(heading != std::string::npos);
  const std::string fence = "\n```" + language + "\n";
  const std::size_t begin = page.find(fence, heading);
  REQUIRE(begin != std::string::npos);
  return page.substr(begin + fence.size(), page.find("\n```\n", begin + 1) + 1 - begin - fence.size());
}

std::string with(std::string text, const std::string& old, const std::string& fresh) {
  std::size_t at = text.find(old);
  INFO(old);
  REQUIRE(at != std::string::npos);
  for (; at != std::string::npos; at = text.find(old, at + fresh.size())) text.replace(at, old.size(), fresh);
  return text;
}

std::string host_and_port(const Address& address) { return address.host + ":" + std::to_string(address.port); }

Proxy::Proxy() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const SocketAddress wanted = socket_address(address_);
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&wanted.storage), wanted.size) == 0);
  REQUIRE(::listen(listener_, 128) == 0);
  REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size) == 0);
  address_.port = ntohs(bound.sin_port);
}

Proxy::~Proxy() {
  show_if_test_fails("proxy", read_file(file("log")));
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);  // nginx ends its worker, too
    CHECK(wait_exit(pid_, 20s).has_value());
  }
  ::close(listener_);
}

void Proxy::start(std::vector<std::string> command, Environment environment) {
  pid_ = start_program({.command = std::move(command),
                        .environment = std::move(environment),
                        .directory = directory_.path(),
                        .output_file = file("log"),
                        .error_file = file("log"),
                        .passed_fds = {listener_}});
}

void Proxy::start_nginx(std::string sites) {
  std::string text = "daemon off;\nuser root;\npid nginx.pid;\nevents {}\nhttp {\n  access_log off;\n";
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    text += std::string("  ") + kind + "_temp_path " + file(kind) + ";\n";
  }
  write_file(file("nginx.conf"),
             text + with(std::move(sites), "listen 80;", "listen " + host_and_port(address_) + ";") + "}\n");
  start({kNginx, "-e", "stderr", "-p", file(""), "-c", file("nginx.conf")}, {{"NGINX", "3;"}});
}

void Proxy::start_haproxy(std::string text) {
  write_file(file("haproxy.cfg"), "global\n  maxconn 1000\n" + with(std::move(text), ":80\n", "fd@3\n"));
  start({kHaproxy, "-db", "-f", file("haproxy.cfg")});
}

}  // namespace pronghorn::test
