#include "support/clients/load_generator.h"

#include <algorithm>
#include <optional>

namespace pronghorn::test {

std::uint64_t LoadReport::failed() const {
  std::uint64_t total = 0;
  for (const auto& [kind, count] : failures) total += count;
  return total;
}

std::uint64_t LoadReport::count(const std::string& kind) const {
  const auto found = failures.find(kind);
  return found == failures.end() ? 0 : found->second;
}

std::string LoadReport::text() const {
  std::string kinds;
  for (const auto& [kind, count] : failures) kinds += (kinds.empty() ? "" : ", ") + std::to_string(count) + " " + kind;
  return std::to_string(succeeded) + " answered, " + std::to_string(failed()) + " failed" +
         (kinds.empty() ? "" : " (" + kinds + ")") + ", slowest " + std::to_string(slowest.count()) + " ms";
}

LoadGenerator::LoadGenerator(Address address, LoadOptions options)
    : address_(std::move(address)), options_(std::move(options)) {
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { run(); });
}

LoadReport LoadGenerator::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  report_.succeeded = succeeded_;
  return report_;
}

bool LoadGenerator::wait_for(std::uint64_t count, std::chrono::milliseconds deadline) const {
  const std::uint64_t target = succeeded_ + count;
  return eventually(deadline, [this, target] { return succeeded_ >= target; }, 1ms);
}

void LoadGenerator::run() {
  std::optional<HttpConnection> connection;
  while (!stopping_) {
    const auto begin = Clock::now();
    try {
      if (!connection) connection.emplace(address_, options_.timeout);
      const Headers headers = options_.keep_alive ? Headers{} : Headers{{"Connection", "close"}};
      const HttpResponse response = connection->get(options_.target, headers);
      if (!options_.keep_alive || response.header("Connection") == "close") connection.reset();
      if (response.status == 200) {
        ++succeeded_;
      } else {
        record_failure("status " + std::to_string(response.status));
      }
    } catch (const ClientError& error) {
      connection.reset();
      record_failure(to_string(error.failure()));
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    {
      const std::lock_guard lock(mutex_);
      report_.slowest = std::max(report_.slowest, took);
    }
    if (options_.pause.count() > 0) std::this_thread::sleep_for(options_.pause);
  }
}

void LoadGenerator::record_failure(const std::string& kind) {
  const std::lock_guard lock(mutex_);
  ++report_.failures[kind];
}

}  // namespace pronghorn::test
