#include "pronghorn/testing.h"

#include <algorithm>
#include <stdexcept>

#include "worker/fields/text.h"
#include "worker/testing/test_bodies.h"
#include "worker/testing/test_events.h"
#include "worker/testing/test_worker.h"

namespace pronghorn {

namespace {

TestClient::Headers with_content_type(const TestClient::Headers& headers, std::string_view content_type) {
  TestClient::Headers all = headers;
  const bool given = std::ranges::any_of(
      headers, [](const auto& header) { return worker::equal_ignoring_case(header.first, "content-type"); });
  if (!given && !content_type.empty()) all.emplace_back("Content-Type", content_type);
  return all;
}

}  // namespace

std::string TestResponse::header(std::string_view name) const {
  for (const auto& [field, value] : headers) {
    if (worker::equal_ignoring_case(field, name)) return value;
  }
  return {};
}

TestClient::TestClient(const std::function<void(App&)>& setup, const TestOptions& options)
    : worker_(std::make_unique<detail::TestWorker>(setup, options)) {}

TestClient::~TestClient() = default;

TestResponse TestClient::get(std::string_view target, const Headers& headers) {
  return request("GET", target, {}, headers);
}

TestResponse TestClient::del(std::string_view target, const Headers& headers) {
  return request("DELETE", target, {}, headers);
}

TestResponse TestClient::post(std::string_view target, std::string_view body, std::string_view content_type,
                              const Headers& headers) {
  return request("POST", target, body, with_content_type(headers, content_type));
}

TestResponse TestClient::put(std::string_view target, std::string_view body, std::string_view content_type,
                             const Headers& headers) {
  return request("PUT", target, body, with_content_type(headers, content_type));
}

TestResponse TestClient::patch(std::string_view target, std::string_view body, std::string_view content_type,
                               const Headers& headers) {
  return request("PATCH", target, body, with_content_type(headers, content_type));
}

TestResponse TestClient::form(std::string_view target, const std::vector<std::pair<std::string, std::string>>& fields,
                              const Headers& headers) {
  return post(target, worker::encode_form(fields), "application/x-www-form-urlencoded", headers);
}

TestResponse TestClient::multipart(std::string_view target, const std::vector<TestPart>& parts,
                                   const Headers& headers) {
  constexpr std::string_view kBoundary = "----pronghorn-test-client-7d1a0c5e9b";
  return post(target, worker::encode_multipart(parts, kBoundary),
              "multipart/form-data; boundary=" + std::string(kBoundary), headers);
}

TestResponse TestClient::request(std::string_view method, std::string_view target, std::string_view body,
                                 const Headers& headers) {
  return worker_->request(method, target, body, headers);
}

std::vector<TestEvent> TestClient::events(std::string_view target, std::size_t count, const Headers& headers) {
  worker::TestEvents seen;
  const TestResponse response = worker_->request("GET", target, {}, headers, [&seen, count](const std::string& body) {
    seen.parse(body);
    return seen.events().size() >= count;
  });
  if (response.header("Content-Type") != "text/event-stream") {
    throw std::runtime_error("TestClient: GET " + std::string(target) + " is not a stream of events: status " +
                             std::to_string(response.status));
  }
  seen.parse(response.body);
  std::vector<TestEvent> events = seen.events();
  if (events.size() > count) events.resize(count);
  return events;
}

TestSocket TestClient::websocket(std::string_view target, const Headers& headers) {
  return TestSocket(worker_->websocket(target, headers));
}

void TestClient::client_address(std::string_view address) { worker_->client_address(address); }

void TestClient::over_tls(std::optional<ClientCertificate> certificate) { worker_->over_tls(std::move(certificate)); }

void TestClient::clear_cookies() { worker_->clear_cookies(); }

}  // namespace pronghorn
