#include "worker/testing/client/collected_response.h"

#include <charconv>
#include <stdexcept>

#include "worker/fields/text.h"
#include "worker/http/response_access.h"
#include "worker/http/response_rules.h"
#include "worker/http1/response_head.h"
#include "worker/runtime/exception_text.h"

namespace pronghorn::worker {

namespace {

std::string read_part(const detail::FilePart& part) {
  std::string bytes;
  if (!part.file->append(bytes, part.offset, static_cast<std::size_t>(part.length))) {
    throw std::runtime_error("the file of a response is shorter than it was");
  }
  return bytes;
}

// "HTTP/1.1 200 OK\r\nName: value\r\n...\r\n"
TestResponse parse(std::string_view head) {
  TestResponse response;
  std::from_chars(head.data() + 9, head.data() + 12, response.status);
  head.remove_prefix(head.find("\r\n") + 2);
  for (std::size_t end = head.find("\r\n"); end != 0; end = head.find("\r\n")) {
    const std::string_view line = head.substr(0, end);
    const std::size_t colon = line.find(':');
    response.headers.emplace_back(line.substr(0, colon), trim_blanks(line.substr(colon + 1)));
    head.remove_prefix(end + 2);
  }
  return response;
}

}  // namespace

void CollectedResponse::respond(Exchange& exchange, Response&& response) {
  exchange.responded = true;
  if (ResponseAccess::upgrades(response)) upgrade_ = std::move(ResponseAccess::upgrade(response));
  const ResponseContent content = apply_response_rules(response, exchange.head.method);
  const auto& file = ResponseAccess::file(response);
  auto& producer = ResponseAccess::producer(response);
  append_response_head(head_, response, {.content_length = content.length, .chunked = producer != nullptr});
  response_ = parse(head_);
  if (content.sent) {
    if (producer) {
      producer_ = std::move(producer);
      producing_ = produce();
      Exchange* const before = detail::set_running(&exchange);
      producing_.start();
      detail::set_running(before);
      return;
    }
    response_.body = file ? read_part(*file) : response.body();
  }
  complete_ = true;
}

Task<void> CollectedResponse::write(std::string_view data) {
  response_.body.append(data);
  if (!enough_ || !enough_(response_.body)) co_return;
  complete_ = true;
  co_await std::suspend_always{};  // until the client leaves
}

void CollectedResponse::trailer(std::string_view name, std::string_view value) {
  static_cast<void>(render_trailer(name, value));  // checks them
  response_.trailers.emplace_back(name, value);
}

Task<void> CollectedResponse::produce() {
  try {
    co_await (*producer_)(*this);
  } catch (...) {
    error_ = std::current_exception();
  }
  complete_ = true;
}

TestResponse CollectedResponse::take() {
  if (error_) throw std::runtime_error("a streamed response failed: " + describe(error_));
  return std::move(response_);
}

}  // namespace pronghorn::worker
