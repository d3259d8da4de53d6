#include "worker/http1/head_receiver.h"

#include "worker/http1/parser/head_guard.h"

namespace pronghorn::worker {

HeadReceiver::Step HeadReceiver::next(std::string_view bytes, const HttpLimits& limits) noexcept {
  if (scanned_ == 0 && bytes.front() == '\r') {
    std::size_t skipped = 0;
    while (bytes.substr(skipped).starts_with("\r\n")) skipped += 2;
    if (skipped > 0) return {.state = Step::State::empty_lines, .consumed = skipped};
    if (bytes.size() == 1) return {};
  }
  const HeadScan scan = scan_head(bytes, scanned_, first_line_);
  if (scan.state == HeadScan::State::incomplete) {
    scanned_ = scan.position;
    first_line_ = scan.first_line;
    return check_size(bytes, limits);
  }
  scanned_ = 0;
  first_line_ = std::string_view::npos;
  if (scan.state == HeadScan::State::malformed) {
    return refuse({400, "malformed line end, folding or control character in the head"});
  }
  return {.state = Step::State::complete, .consumed = scan.position, .first_line = scan.first_line};
}

HeadReceiver::Step HeadReceiver::refuse(const Refusal& why) noexcept {
  refusal_ = why;
  return {.state = Step::State::refused};
}

HeadReceiver::Step HeadReceiver::check_size(std::string_view bytes, const HttpLimits& limits) noexcept {
  if (first_line_ == std::string_view::npos) {
    // The last byte may be the CR that ends a line of just the allowed length.
    if (limits.max_request_line != 0 && bytes.size() > std::size_t{limits.max_request_line} + 1) {
      return refuse({414, "request line too long", Count::limit_request_line});
    }
  } else if (limits.max_header_bytes != 0 && bytes.size() - first_line_ > limits.max_header_bytes) {
    return refuse({431, "header fields too large", Count::limit_header_bytes});
  }
  return {};
}

}  // namespace pronghorn::worker
