#include "worker/net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

namespace pronghorn::worker {

Peer peer_of(const sockaddr_storage& address, bool is_unix) {
  Peer peer;
  char text[INET6_ADDRSTRLEN] = {};
  if (is_unix || address.ss_family == AF_UNIX) {
    peer.client.address = "unix";
    peer.loopback = true;
    peer.unix_socket = true;
  } else if (address.ss_family == AF_INET) {
    const auto& ip = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &ip.sin_addr, text, sizeof text);
    peer.client = {text, ntohs(ip.sin_port)};
    peer.loopback = (ntohl(ip.sin_addr.s_addr) >> 24) == 127;
  } else if (address.ss_family == AF_INET6) {
    const auto& ip = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&ip.sin6_addr)) {
      ::inet_ntop(AF_INET, ip.sin6_addr.s6_addr + 12, text, sizeof text);
      peer.loopback = ip.sin6_addr.s6_addr[12] == 127;
    } else {
      ::inet_ntop(AF_INET6, &ip.sin6_addr, text, sizeof text);
      peer.loopback = IN6_IS_ADDR_LOOPBACK(&ip.sin6_addr);
    }
    peer.client = {text, ntohs(ip.sin6_port)};
  }
  return peer;
}

}  // namespace pronghorn::worker
