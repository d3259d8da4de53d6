// The part of request.h that reads application/x-www-form-urlencoded bodies.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/error.h"
#include "pronghorn/request.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/percent_encoding.h"
#include "worker/fields/text.h"

namespace pronghorn {
namespace {

// A field can be two bytes of the body but costs about a hundred of memory.
constexpr std::size_t kMaxFields = 1000;

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields parse_fields(std::string_view pairs) {
  Fields fields;
  while (!pairs.empty()) {
    const std::size_t end = pairs.find('&');
    const std::string_view pair = pairs.substr(0, end);
    pairs = end == std::string_view::npos ? std::string_view{} : pairs.substr(end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    std::string name;
    std::string value;
    if (!worker::percent_decode(pair.substr(0, equals), name, true) ||
        (equals != std::string_view::npos && !worker::percent_decode(pair.substr(equals + 1), value, true))) {
      throw bad_request("the form is not percent-encoded correctly");
    }
    if (fields.size() == kMaxFields) throw HttpError(413, "the form has more than 1000 fields");
    fields.emplace_back(std::move(name), std::move(value));
  }
  return fields;
}

}  // namespace

Task<Form> Request::form() {
  const std::string_view type = exchange_.head.value(worker::KnownHeader::content_type);
  const std::string_view media = worker::trim_blanks(type.substr(0, type.find(';')));
  if (!worker::equal_ignoring_case(media, "application/x-www-form-urlencoded")) {
    throw HttpError(415, "the body must be application/x-www-form-urlencoded");
  }
  refuse_content_coding();
  co_return Form(parse_fields(co_await body()));
}

}  // namespace pronghorn
