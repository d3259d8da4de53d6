#include "support/clients/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>
#include <stdexcept>

namespace pronghorn::test {

Address Address::parse(std::string_view text) {
  Address address;
  for (const std::string_view prefix : {"http://", "http+", "https://"}) {
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  }
  if (text.starts_with("unix:")) {
    address.unix_path = text.substr(5);
    return address;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) throw std::invalid_argument("no port in " + std::string(text));
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  address.host = host;
  if (address.host == "0.0.0.0") address.host = "127.0.0.1";
  if (address.host == "::") address.host = "::1";
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), address.port);
  return address;
}

std::string Address::text() const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

SocketAddress socket_address(const Address& address) {
  SocketAddress result;
  if (!address.unix_path.empty()) {
    auto* to = reinterpret_cast<sockaddr_un*>(&result.storage);
    to->sun_family = AF_UNIX;
    if (address.unix_path.size() >= sizeof to->sun_path) throw std::invalid_argument("the socket's path is too long");
    std::memcpy(to->sun_path, address.unix_path.data(), address.unix_path.size());
    result.size = sizeof *to;
  } else if (address.host.find(':') != std::string::npos) {
    auto* to = reinterpret_cast<sockaddr_in6*>(&result.storage);
    to->sin6_family = AF_INET6;
    to->sin6_port = htons(address.port);
    ::inet_pton(AF_INET6, address.host.c_str(), &to->sin6_addr);
    result.size = sizeof *to;
  } else {
    auto* to = reinterpret_cast<sockaddr_in*>(&result.storage);
    to->sin_family = AF_INET;
    to->sin_port = htons(address.port);
    ::inet_pton(AF_INET, address.host.c_str(), &to->sin_addr);
    result.size = sizeof *to;
  }
  return result;
}

}  // namespace pronghorn::test
