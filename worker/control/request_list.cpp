#include "worker/control/request_list.h"
#include "common/text/json_text.h"

#include <chrono>
#include <nlohmann/json.hpp>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxTarget = 300;  // bytes of a path: a message of the channel is limited

const char* state_of(const Exchange& exchange) noexcept {
  if (exchange.responded) return "sending";
  return exchange.running.valid() ? "waiting" : "receiving";
}

}  // namespace

std::vector<std::string> list_requests(const ExchangePool& exchanges, std::uint32_t slot) {
  std::vector<std::string> list;
  const auto now = std::chrono::steady_clock::now();
  for (const Exchange* each = exchanges.first(); each != nullptr && list.size() < kMaxListedRequests;
       each = each->pool_next) {
    if (!each->in_use || each->head.method.empty()) continue;
    auto& exchange = const_cast<Exchange&>(*each);  // ids and clients are computed on first use
    const std::chrono::duration<double, std::milli> age = now - exchange.started;
    const nlohmann::json request{
        {"slot", slot},
        {"request", std::string(exchange.head.method) + ' ' + std::string(exchange.head.path.substr(0, kMaxTarget))},
        {"route", exchange.route},
        {"client", exchange.client().address},
        {"id", exchange.id()},
        {"age_ms", age.count()},
        {"state", state_of(exchange)}};
    list.push_back(dump_json(request));
  }
  return list;
}

}  // namespace pronghorn::worker
