// Memory that the TLS connections of a worker need only during a call, and share.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pronghorn::worker {

// Context: loop thread.
class TlsBuffers {
 public:
  static constexpr std::size_t kPlain = 64 * 1024;

  // What was decrypted, until it has been reported. Nobody reads while another one reports.
  [[nodiscard]] std::span<char> plain() noexcept { return {plain_.get(), kPlain}; }

  // A piece of a file, until it has been encrypted.
  [[nodiscard]] std::span<char> file() noexcept { return {file_.get(), kPlain}; }

  // An empty buffer for records, until it is given back with release(). The last one acquired is released first: sending
  // may lead to another stream that sends.
  [[nodiscard]] std::string& acquire() {
    if (used_ == records_.size()) records_.push_back(std::make_unique<std::string>());
    return *records_[used_++];
  }
  void release(std::string& buffer) noexcept {
    buffer.clear();
    --used_;
  }

 private:
  std::unique_ptr<char[]> plain_ = std::make_unique<char[]>(kPlain);
  std::unique_ptr<char[]> file_ = std::make_unique<char[]>(kPlain);
  std::vector<std::unique_ptr<std::string>> records_;
  std::size_t used_ = 0;
};

}  // namespace pronghorn::worker
