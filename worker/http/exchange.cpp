#include "worker/http/exchange.h"

#include <sys/random.h>

#include <cstring>

#include "worker/http/syntax.h"

namespace pronghorn::worker {
namespace {

void write_hex(std::uint64_t value, char* end, int digits) noexcept {
  for (int i = 0; i < digits; ++i) {
    *--end = "0123456789abcdef"[value & 15];
    value >>= 4;
  }
}

// 64 random bits, and a number that is counted up: unique over workers and restarts.
class IdSource {
 public:
  IdSource() noexcept { choose_prefix(); }

  void write(char* id) noexcept {
    if (++number_ == 0) choose_prefix();
    std::memcpy(id, prefix_, sizeof prefix_);
    write_hex(number_, id + 24, 8);
  }

 private:
  void choose_prefix() noexcept {
    std::uint64_t random = 0;
    if (::getrandom(&random, sizeof random, 0) != sizeof random) random = reinterpret_cast<std::uintptr_t>(this);
    write_hex(random, prefix_ + sizeof prefix_, sizeof prefix_);
  }

  char prefix_[16] = {};
  std::uint32_t number_ = 0;
};

}  // namespace

void Exchange::clear() noexcept {
  running.reset();  // first: the coroutine may use everything below
  session.reset();
  for (const Attachment& attachment : attachments_) attachment.destroy(attachment.object);
  attachments_.clear();
  decoded_.clear();
  decoded_path_.clear();
  forwarding_.reset();
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
  if (id_[0] == '\0') source.write(id_);
  return {id_, 24};
}

std::string_view Exchange::decoded_path() {
  if (head.path.find('%') == std::string_view::npos) return head.path;
  if (decoded_path_.empty() && !percent_decode(head.path, decoded_path_, false)) decoded_path_ = head.path;
  return decoded_path_;
}

const Forwarding* Exchange::forwarding() {
  if (peer == nullptr || peer->trusted_proxies == nullptr) return nullptr;
  if (!forwarding_) forwarding_ = read_forwarding(head, *peer->trusted_proxies);
  return &*forwarding_;
}

const Client& Exchange::client() {
  const Forwarding* said = forwarding();
  return said == nullptr || said->client.address.empty() ? peer->client : said->client;
}

}  // namespace pronghorn::worker
