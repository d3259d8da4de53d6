#include "worker/http/request_body.h"

#include <utility>

#include "pronghorn/error.h"

namespace pronghorn::worker {

void RequestBody::forget() noexcept {
  constexpr std::size_t kKeptCapacity = 2 * kBufferedBody;
  for (std::string* memory : {&incoming_, &taken_}) {
    memory->clear();
    if (memory->capacity() > kKeptCapacity) memory->shrink_to_fit();
  }
  announced_ = received_ = 0;
  used_ = false;
  complete_ = true;
  whole_ = false;
  failure_ = 0;
  reason_ = "";
}

void RequestBody::push(std::string_view bytes) {
  received_ += bytes.size();
  incoming_.append(bytes);
  wake();
}

void RequestBody::finish() {
  complete_ = true;
  wake();
}

void RequestBody::fail(int status, const char* reason) {
  failure_ = status;
  reason_ = reason;
  wake();
}

std::string_view RequestBody::take() {
  if (failure_ != 0) throw HttpError(failure_, reason_);
  taken_.swap(incoming_);
  incoming_.clear();
  return taken_;
}

std::string_view RequestBody::whole() const {
  if (failure_ != 0) throw HttpError(failure_, reason_);
  return incoming_;
}

void RequestBody::wake() {
  if (satisfied()) waiting_.resume_all();
}

}  // namespace pronghorn::worker
