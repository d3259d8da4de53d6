// What a connection becomes after a response with status 101, as the connection that sends this response sees it.
#pragma once

#include <string_view>
#include <vector>

#include "pronghorn/response.h"
#include "worker/net/ledger/ledger_socket.h"

namespace pronghorn::worker {

// Every detail::Upgrade of a response is one.
class ProtocolUpgrade : public pronghorn::detail::Upgrade {
 public:
  // The response is about to be written. From now on first_bytes(), state() and marks() say what counts with it; what
  // happens later is written, and noted, by the next protocol.
  virtual void begin() = 0;
  // What is written right behind the response. Valid until the next protocol begins.
  [[nodiscard]] virtual std::string_view first_bytes() const noexcept = 0;
  [[nodiscard]] virtual std::vector<LedgerMark> marks() const = 0;
};

}  // namespace pronghorn::worker
