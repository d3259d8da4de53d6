#include "worker/http/exchange.h"

#include <sys/random.h>

#include "worker/fields/percent_encoding.h"

namespace pronghorn::worker {
namespace {

// 64 random bits, and a number that is counted up: unique over workers and restarts.
class IdSource {
 public:
  IdSource() noexcept { choose_worker(); }

  RequestId next() noexcept {
    if (++last_.number == 0) choose_worker();
    return last_;
  }

 private:
  void choose_worker() noexcept {
    if (::getrandom(&last_.worker, sizeof last_.worker, 0) != sizeof last_.worker) {
      last_.worker = reinterpret_cast<std::uintptr_t>(this);
    }
    last_.number = 1;
  }

  RequestId last_;
};

IdSource ids;

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
  trailer_bytes.clear();
  deadline = std::chrono::steady_clock::time_point::max();
  responded = false;
  body_was_read = false;
  route = {};
  route_index = UINT32_MAX;
  param_count = 0;
  number_ = {};
}

const RequestId& Exchange::number() noexcept {
  if (number_.number == 0) {
    number_ = ids.next();
    id_[0] = '\0';
  }
  return number_;
}

std::string_view Exchange::id() {
  const RequestId& number_of_it = number();
  if (id_[0] == '\0') write_request_id(number_of_it, id_);
  return {id_, sizeof id_};
}

std::string_view Exchange::decoded_path() {
  if (head.path.find('%') == std::string_view::npos) return head.path;
  if (decoded_path_.empty() && !percent_decode(head.path, decoded_path_, false)) decoded_path_ = head.path;
  return decoded_path_;
}

const Forwarding* Exchange::forwarding() {
  if (peer->trusted_proxies == nullptr) return nullptr;
  if (!forwarding_) forwarding_ = read_forwarding(head, *peer->trusted_proxies);
  return &*forwarding_;
}

const Client& Exchange::client() {
  const Forwarding* said = forwarding();
  return said == nullptr || said->client.address.empty() ? peer->client : said->client;
}

}  // namespace pronghorn::worker
