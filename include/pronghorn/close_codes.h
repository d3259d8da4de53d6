// Close codes of WebSockets (RFC 6455 section 7.4.1).
#pragma once

#include <cstdint>

namespace pronghorn {

enum SocketCloseCode : std::uint16_t {
  kCloseNormal = 1000,
  kCloseGoingAway = 1001,      // the server stops, or the page was left
  kCloseProtocolError = 1002,  // of the client
  kCloseUnsupported = 1003,    // a kind of message that the application does not take
  kCloseNoCode = 1005,         // never sent: the client's close had none
  kCloseAbnormal = 1006,       // never sent: the connection ended without a close
  kCloseBadData = 1007,        // text that is not UTF-8, or data that cannot be inflated
  kClosePolicy = 1008,         // a limit was exceeded
  kCloseTooBig = 1009,
  kCloseError = 1011,    // a handler failed, or crashed its worker
  kCloseRestart = 1012,  // the worker leaves, and the socket cannot move: connect again
};

}  // namespace pronghorn
