#include "worker/exchange/exchange.h"

#include <sys/random.h>

#include "common/log.h"
#include "worker/fields/percent_encoding.h"

namespace pronghorn::detail {
namespace {

// Empty if it is absent, or occurs more than once: then nobody knows which of them a proxy has written.
std::string_view only_value(const RequestHead& head, KnownHeader header) noexcept {
  return (head.repeated & RequestHead::bit_of(header)) != 0 ? std::string_view{} : head.value(header);
}

// Ids are 64 random bits per worker and a counter: unique across workers and restarts.
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

// At most once a minute: clients can cause it as often as they like.
void report_both_families(const Peer& proxy) {
  using Clock = std::chrono::steady_clock;
  static Clock::time_point next_report;
  const auto now = Clock::now();
  if (now < next_report) return;
  next_report = now + std::chrono::minutes(1);
  log_warning(
      "a trusted proxy sent both Forwarded and X-Forwarded-* fields, and neither is believed; configure it to "
      "remove the fields that it does not set (docs/proxies.md)",
      {{"proxy", proxy.client.address}});
}

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
  interrupted = Interrupted::no;
  pressed = false;
  timed_out = false;
  body_was_read = false;
  body_error_text = nullptr;
  route = {};
  route_index = UINT32_MAX;
  param_count = 0;
  number_ = {};
  counted = true;
  client_id_.reset();
  caller_trace_.reset();
  traceparent_[0] = '\0';
}

const RequestId& Exchange::number() noexcept {
  if (number_.number == 0) number_ = ids.next();
  return number_;
}

std::string_view Exchange::read_client_id() noexcept {
  if (!client_id_) {
    client_id_.emplace();
    const std::string_view field = only_value(head, KnownHeader::x_request_id);
    if (peer != nullptr && peer->trusted_proxies != nullptr && is_request_id(field)) client_id_ = field;
  }
  return *client_id_;
}

std::string_view Exchange::read_caller_trace() noexcept {
  if (!caller_trace_) {
    caller_trace_.emplace();
    if (const auto caller = parse_traceparent(only_value(head, KnownHeader::traceparent)))
      caller_trace_ = caller->trace_id;
  }
  return *caller_trace_;
}

std::string_view Exchange::traceparent() noexcept {
  if (traceparent_[0] == '\0') {
    const RequestId& own = number();
    const auto caller =
        caller_trace().empty() ? std::nullopt : parse_traceparent(only_value(head, KnownHeader::traceparent));
    write_traceparent(traceparent_, caller, own.worker, own.worker + own.number);
  }
  return {traceparent_, sizeof traceparent_};
}

std::string_view Exchange::id() {
  if (const std::string_view taken = client_id(); !taken.empty()) return taken;
  const RequestId& number_of_it = number();
  if (id_has_.worker != number_of_it.worker) {
    write_request_id(number_of_it, id_);
  } else if (id_has_.number != number_of_it.number) {
    write_request_number(number_of_it.number, id_);
  }
  id_has_ = number_of_it;
  return {id_, sizeof id_};
}

std::string_view Exchange::decoded_path() {
  if (head.path.find('%') == std::string_view::npos) return head.path;
  if (decoded_path_.empty() && !percent_decode(head.path, decoded_path_, false)) decoded_path_ = head.path;
  return decoded_path_;
}

const Forwarding* Exchange::forwarding() {
  if (peer->trusted_proxies == nullptr) return nullptr;
  if (forwarding_) return &*forwarding_;
  const auto believed = peer->sends_forwarded ? ForwardingFields::forwarded : ForwardingFields::x_forwarded;
  forwarding_ = read_forwarding(head, *peer->trusted_proxies, believed);
  if (forwarding_->both_families) report_both_families(*peer);
  return &*forwarding_;
}

const Client& Exchange::client() {
  const Forwarding* said = forwarding();
  return said == nullptr || said->client.address.empty() ? peer->client : said->client;
}

}  // namespace pronghorn::detail
