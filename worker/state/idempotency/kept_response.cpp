#include "worker/state/idempotency/kept_response.h"

#include <stdexcept>
#include <string_view>
#include <utility>

#include "pronghorn/error.h"
#include "pronghorn/redis.h"
#include "worker/fields/text.h"
#include "worker/http/head/field_lines.h"
#include "worker/http/response_access.h"

namespace pronghorn::worker {
namespace {

bool belongs_to_one_exchange(std::string_view name) noexcept {
  for (const std::string_view own : {"set-cookie", "date", "x-request-id"}) {
    if (equal_ignoring_case(name, own)) return true;
  }
  return false;
}

}  // namespace

bool is_final(const Response& response) noexcept {
  const int status = response.status();
  return status >= 200 && status < 500 && status != 408 && status != 425 && status != 429;
}

KeptResponse keep(const Response& response) {
  if (!ResponseAccess::has_whole_body(response) || response.body().size() > kMaxKeptBody) return {};
  KeptResponse kept{.status = response.status(),
                    .content_type = std::string(response.content_type()),
                    .fields = {},
                    .body = response.body()};
  for_each_field_line(ResponseAccess::fields(response),
                      [&kept](std::string_view name, std::string_view, std::string_view line) {
                        if (!belongs_to_one_exchange(name)) kept.fields += line;
                      });
  return kept;
}

Response replay(KeptResponse kept) {
  if (kept.status == 0) {
    throw HttpError(409, "the request with this Idempotency-Key was carried out, but its response could not be kept");
  }
  constexpr const char* kInvalid = "Redis has an invalid response for an Idempotency-Key";
  if (kept.status < 200 || kept.status > 599) throw RedisError(kInvalid);
  try {
    Response response(kept.status);
    if (!kept.content_type.empty()) response.content_type(kept.content_type);
    const bool whole = for_each_field_line(
        kept.fields,
        [&response](std::string_view name, std::string_view value, std::string_view) { response.append(name, value); });
    if (!whole) throw RedisError(kInvalid);
    response.set("Idempotency-Replayed", "true");
    response.body(std::move(kept.body));
    return response;
  } catch (const std::invalid_argument&) {
    throw RedisError(kInvalid);
  }
}

}  // namespace pronghorn::worker
