// Ownership of libuv handles.
#pragma once

#include <uv.h>

#include <memory>

namespace pronghorn::worker {

// Sole owner, and only closer, of one heap-allocated, initialised libuv handle. Letting go only asks for the close; the
// loop must turn once more to free the memory.
template <class Handle>
struct CloseOnLoop {
  void operator()(Handle* handle) const noexcept {
    handle->data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
  }
};
template <class Handle>
using UvPtr = std::unique_ptr<Handle, CloseOnLoop<Handle>>;

// A handle of a kind whose initialiser cannot fail (timer, prepare, check, idle), with `owner` as its data.
template <class Handle>
[[nodiscard]] UvPtr<Handle> make_uv(uv_loop_t* loop, int (*initialise)(uv_loop_t*, Handle*), void* owner) {
  auto* handle = new Handle;
  initialise(loop, handle);
  handle->data = owner;
  return UvPtr<Handle>(handle);
}

}  // namespace pronghorn::worker
