#include "worker/tls/tls_handshake.h"

#include <string>
#include <utility>

#include "worker/http/head/response_date.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kMaxDropped = 64 * 1024;  // of what a client sends that speaks plain HTTP

constexpr std::string_view kPlainHttpStatus = "HTTP/1.1 400 Bad Request\r\n";
constexpr std::string_view kPlainHttp =
    "Content-Type: application/problem+json\r\n"
    "Content-Length: 133\r\n"
    "Connection: close\r\n"
    "\r\n"
    R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"plain HTTP was sent to a TLS port; use an https address instead"})"
    "\n";

}  // namespace

TlsHandshake::TlsHandshake(HttpContext& context, ConnectionOwner& owner, TlsService& service, TlsStream& stream,
                           Peer peer, bool surplus)
    : context_(context), owner_(owner), service_(service), stream_(stream), peer_(std::move(peer)), surplus_(surplus) {
  stream_.report_handshake_to(*this);
}

TlsHandshake::~TlsHandshake() {
  context_.timeouts.remove(*this);
  if (place_) service_.leave(*place_);
}

void TlsHandshake::start() {
  context_.timeouts.wait(*this, Waiting::for_head);
  if (service_.begin()) return stream_.read_start();
  place_ = service_.wait(*this);
}

void TlsHandshake::may_begin() {
  place_.reset();
  stream_.read_start();
}

void TlsHandshake::established() {
  service_.established(stream_.facts());
  context_.timeouts.remove(*this);
  owner_.upgraded();
}

void TlsHandshake::failed(TlsFailure failure) {
  service_.failed(failure, peer_.client.address);
  if (failure == TlsFailure::client_left) return close();
  if (failure == TlsFailure::plain_http) {
    add(context_.row[Count::bad_requests]);
    const ResponseDate& date = response_date();
    std::string answer(kPlainHttpStatus);
    answer.append(date.field()).append(date.server_field()).append(kPlainHttp);
    stream_.write_plain(answer);
  }
  if (stream_.closing()) return;
  stream_.shutdown();
  context_.timeouts.wait(*this, Waiting::for_end);
}

// After a failure.
void TlsHandshake::on_data(std::string_view bytes) {
  dropped_ += bytes.size();
  if (dropped_ > kMaxDropped) close();
}

void TlsHandshake::timed_out() {
  if (waiting() == Waiting::for_head) {
    add(context_.row[Count::timeouts]);
    add(context_.row[Count::limit_header_time]);
    service_.failed(TlsFailure::timed_out, peer_.client.address);
  }
  close();
}

void TlsHandshake::close() noexcept {
  context_.timeouts.remove(*this);
  if (place_) service_.leave(*std::exchange(place_, {}));
  stream_.close();
}

}  // namespace pronghorn::worker
