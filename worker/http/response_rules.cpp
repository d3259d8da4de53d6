#include "worker/http/response_rules.h"

#include "worker/http/response_access.h"

namespace pronghorn::worker {

ResponseContent apply_response_rules(Response& response, std::string_view method) {
  const int status = response.status();
  if (status == 204 || status == 205 || status == 304) {
    ResponseAccess::drop_content(response);
    if (status == 205) return {.sent = false, .length = 0};
    return {.sent = false};
  }
  ResponseContent content;
  content.sent = method != "HEAD";
  if (ResponseAccess::producer(response) != nullptr) return content;
  const auto& file = ResponseAccess::file(response);
  content.length = file != nullptr ? file->length : response.body().size();
  return content;
}

}  // namespace pronghorn::worker
