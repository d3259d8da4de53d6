#include "worker/http1/head_receiver.h"

#include <limits>

#include "worker/http1/parser/head_guard.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
constexpr char kTlsHandshake = 0x16;  // the type of the first record of a TLS client

HeadReceiver::Step refused(const Refusal& why, Refusal& refusal) noexcept {
  refusal = why;
  return {.state = HeadReceiver::Step::State::refused};
}

}  // namespace

HeadReceiver::Step HeadReceiver::next(std::string_view bytes, const HttpLimits& limits, Refusal& refusal) noexcept {
  if (scanned_ == 0 && bytes.front() == '\r') {
    std::size_t skipped = 0;
    while (bytes.substr(skipped).starts_with("\r\n")) skipped += 2;
    if (skipped > 0) return {.state = Step::State::empty_lines, .consumed = skipped};
    if (bytes.size() == 1) return {};
  }
  const HeadScan scan = scan_head(bytes, static_cast<std::size_t>(scanned_), static_cast<std::size_t>(first_line_));
  if (scan.state == HeadScan::State::incomplete) {
    if (bytes.size() > kMost) return refused({431, "header fields too large", Count::limit_header_bytes}, refusal);
    scanned_ = static_cast<std::int32_t>(scan.position);
    first_line_ = static_cast<std::int32_t>(scan.first_line);
    return check_size(bytes, limits, refusal);
  }
  scanned_ = 0;
  first_line_ = kNone;
  if (scan.state == HeadScan::State::malformed) {
    if (bytes.front() == kTlsHandshake) return refused({400, kTlsOnPlainPort}, refusal);
    return refused({400, "malformed line end, folding or control character in the head"}, refusal);
  }
  return {.state = Step::State::complete, .consumed = scan.position, .first_line = scan.first_line};
}

HeadReceiver::Step HeadReceiver::check_size(std::string_view bytes, const HttpLimits& limits,
                                            Refusal& refusal) const noexcept {
  if (first_line_ == kNone) {
    // The last byte may be the CR that ends a line of just the allowed length.
    if (limits.max_request_line != 0 && bytes.size() > std::size_t{limits.max_request_line} + 1) {
      return refused({414, "request line too long", Count::limit_request_line}, refusal);
    }
  } else if (limits.max_header_bytes != 0 &&
             bytes.size() - static_cast<std::size_t>(first_line_) > limits.max_header_bytes) {
    return refused({431, "header fields too large", Count::limit_header_bytes}, refusal);
  }
  return {};
}

}  // namespace pronghorn::worker
