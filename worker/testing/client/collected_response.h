// The protocol's side of an exchange for a client in the same process: collects the response whole.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "pronghorn/testing.h"
#include "worker/exchange/exchange.h"

namespace pronghorn::worker {

// Context: loop thread. One per request; outlives the exchange's use of it.
class CollectedResponse final : public ExchangeOwner, private Writer {
 public:
  // Returns true if the client disconnects when the body is this.
  using Enough = std::function<bool(const std::string&)>;

  explicit CollectedResponse(Enough enough = {}) : enough_(std::move(enough)) {}
  CollectedResponse(const CollectedResponse&) = delete;
  CollectedResponse& operator=(const CollectedResponse&) = delete;
  ~CollectedResponse() override = default;

  // Whether everything has arrived, or enough.
  [[nodiscard]] bool complete() const noexcept { return complete_; }
  // Throws std::runtime_error if the producer of a stream failed: a client's connection would have been reset.
  [[nodiscard]] TestResponse take();
  // What a response with status 101 changes to; null: nothing. Once.
  [[nodiscard]] std::unique_ptr<detail::Upgrade> take_upgrade() noexcept { return std::move(upgrade_); }
  // The client disconnects: destroys the producer of a stream. Must not be called from inside it.
  void leave() noexcept { producing_.reset(); }

  // ExchangeOwner
  void respond(Exchange& exchange, Response&& response) override;
  void want_body(Exchange&) override {}

 private:
  Task<void> write(std::string_view data) override;
  void trailer(std::string_view name, std::string_view value) override;
  Task<void> produce();

  Enough enough_;
  std::string head_;
  TestResponse response_;
  std::unique_ptr<Response::Producer> producer_;
  std::unique_ptr<detail::Upgrade> upgrade_;
  std::exception_ptr error_;
  bool complete_ = false;
  Task<void> producing_;  // last: destroyed first
};

}  // namespace pronghorn::worker
