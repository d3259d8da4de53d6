// The real nginx and haproxy, configured by the examples of docs/proxies.md.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "support/clients/address.h"
#include "support/processes/process.h"
#include "support/processes/server_process.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

inline constexpr const char* kNginx = "/usr/sbin/nginx";
inline constexpr const char* kHaproxy = "/usr/sbin/haproxy";

// False, with a message, if a test is to be skipped.
[[nodiscard]] bool is_installed(const char* program);

// The first example in that language below the heading `## section` of the page. Fails the test if there is none.
[[nodiscard]] std::string proxy_example(std::string_view section, const std::string& language);

// Replaces what is particular to a site. Fails the test if it is not there.
[[nodiscard]] std::string with(std::string text, const std::string& old, const std::string& fresh);

[[nodiscard]] std::string host_and_port(const Address& address);

// A proxy, which inherits its listening socket as descriptor 3. So nobody else can have its port.
//
// Context: the main thread of a test. The destructor ends the proxy, and shows its log if the test has failed.
class Proxy {
 public:
  Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  ~Proxy();

  // Where it listens.
  [[nodiscard]] const Address& address() const noexcept { return address_; }
  [[nodiscard]] std::string file(std::string_view name) const { return directory_ / name; }
  // `sites`: what belongs into `http { … }`, with "listen 80;".
  void start_nginx(std::string sites);
  // `text`: without `global`, with "bind :80".
  void start_haproxy(std::string text);

 private:
  void start(std::vector<std::string> command, Environment environment = {});

  TempDir directory_;
  Address address_;
  int listener_;
  pid_t pid_ = -1;
};

}  // namespace pronghorn::test
