// Where OpenSSL writes records during a call.
#pragma once

#include <string>
#include <utility>

#include "worker/tls/tls_buffers.h"

namespace pronghorn::worker {

// While it lives, `target` points to a buffer of the worker, which is its own.
class RecordWriter {
 public:
  RecordWriter(TlsBuffers& buffers, std::string*& target)
      : buffers_(buffers), target_(target), records_(buffers.acquire()), before_(std::exchange(target, &records_)) {}
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;
  ~RecordWriter() {
    target_ = before_;
    buffers_.release(records_);
  }

  [[nodiscard]] const std::string& records() const noexcept { return records_; }

 private:
  TlsBuffers& buffers_;
  std::string*& target_;
  std::string& records_;
  std::string* before_;
};

}  // namespace pronghorn::worker
