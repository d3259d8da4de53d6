// An HTTP/1.1 connection on a MemoryStream, with a handler that the test gives and a clock that the test moves.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "unit/worker/connection/connection_server.h"
#include "worker/http1/connection.h"
#include "worker/testing/client/memory_stream.h"

namespace pronghorn::worker {

class TestConnection final : public ConnectionServer {
 public:
  explicit TestConnection(Handler handler, const Config& config = quick_config(), bool https = false)
      : ConnectionServer(std::move(handler), config),
        connection_{context(), *this, stream_, Peer{.client = {"192.0.2.1", 1234}, .https = https}, false} {
    stream_.report_to(connection_);
    connection_.start();
  }
  ~TestConnection() override { connection_.close(); }

  MemoryStream& client() noexcept { return stream_; }
  Http1Connection& connection() noexcept { return connection_; }
  [[nodiscard]] bool open() const noexcept { return stream_.ended() == MemoryStream::Ended::no; }

  // Sends, ends the turn and returns what came back.
  std::string ask(std::string_view bytes) {
    stream_.send(bytes);
    end_turn();
    return stream_.received();
  }

 private:
  MemoryStream stream_;
  Http1Connection connection_;
};

}  // namespace pronghorn::worker
