#include "worker/state/redis/reply_errors.h"

#include <string_view>

namespace pronghorn::worker {
namespace {

bool is_unavailable(std::string_view error) {
  for (const std::string_view code : {"LOADING ", "BUSY ", "MASTERDOWN ", "READONLY ", "OOM ", "MISCONF ",
                                      "NOREPLICAS ", "CLUSTERDOWN ", "TRYAGAIN "}) {
    if (error.starts_with(code)) return true;
  }
  return false;
}

}  // namespace

void require_success(const Reply& reply) {
  if (!reply.is_error()) return;
  if (is_unavailable(reply.error())) throw RedisUnavailable(reply.error());
  throw RedisError(reply.error());
}

}  // namespace pronghorn::worker
