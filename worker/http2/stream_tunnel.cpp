// How a stream becomes a tunnel, and how that ends: see stream.h.
#include <utility>

#include "worker/http/response_access.h"
#include "worker/http2/connection.h"
#include "worker/http2/stream.h"
#include "worker/http2/tunnel.h"

namespace pronghorn::worker {

// Whether the response accepts an extended CONNECT.
bool Http2Stream::accept_tunnel(Response& response) {
  if (tunnel_ == nullptr) return false;
  if (!ResponseAccess::upgrades(response)) {
    // What is not from the handler: middleware may answer in its place, and any 2xx would accept.
    if (response.status() < 300) response = problem(403, "The server does not open a WebSocket here.");
    connection_.tunnel_ended(*std::exchange(tunnel_, nullptr));
    return false;
  }
  tunnelled_ = true;
  ended_ = false;
  response.status(200);
  // Messages are short and do not wait for each other, nor for downloads, unless the client says otherwise.
  if (!exchange_->head.find("priority")) connection_.prioritise(id_, "u=2, i", {});
  tunnel_->begin(std::move(ResponseAccess::upgrade(response)));
  return true;
}

void Http2Stream::resume_output() noexcept {
  if (std::exchange(deferred_, false)) connection_.resume(id_);
  connection_.send_later();
}

void Http2Stream::end_output() noexcept {
  ended_ = true;
  resume_output();
}

void Http2Stream::leave_tunnel(bool aborted) noexcept {
  tunnel_ = nullptr;
  if (aborted) return fail(NGHTTP2_CANCEL);
  left_ = true;
  heard_ = connection_.now();
  drop(0);
  end_output();
}

}  // namespace pronghorn::worker
