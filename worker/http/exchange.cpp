#include "worker/http/exchange.h"

#include <sys/random.h>

#include <cstring>

#include "worker/http/syntax.h"

namespace pronghorn::worker {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

void write_hex(std::uint64_t value, char* end, int digits) noexcept {
  for (int i = 0; i < digits; ++i) {
    *--end = kHexDigits[value & 15];
    value >>= 4;
  }
}

// 48 random bits for this process, then a number: unique over workers and restarts.
struct IdSource {
  std::uint64_t prefix = 0;
  std::uint64_t next = 0;
  IdSource() noexcept {
    if (::getrandom(&prefix, sizeof prefix, 0) != sizeof prefix) prefix = reinterpret_cast<std::uintptr_t>(this);
  }
};

}  // namespace

void Exchange::clear() noexcept {
  running.reset();  // first: the coroutine may use everything below
  session.reset();
  for (const Attachment& attachment : attachments_) attachment.destroy(attachment.object);
  attachments_.clear();
  decoded_.clear();
  decoded_path_.clear();
  body.clear();
  max_body = 0;
  deadline = std::chrono::steady_clock::time_point::max();
  responded = false;
  body_was_read = false;
  route = {};
  route_index = UINT32_MAX;
  param_count = 0;
  id_[0] = '\0';
}

std::string_view Exchange::id() {
  static IdSource source;
  if (id_[0] == '\0') {
    write_hex(source.prefix, id_ + 12, 12);
    write_hex(++source.next, id_ + 24, 12);
  }
  return {id_, 24};
}

std::string_view Exchange::decoded_path() {
  if (head.path.find('%') == std::string_view::npos) return head.path;
  if (decoded_path_.empty() && !percent_decode(head.path, decoded_path_, false)) decoded_path_ = head.path;
  return decoded_path_;
}

}  // namespace pronghorn::worker
