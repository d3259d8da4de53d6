// Ownership of libuv handles.
#pragma once

#include <uv.h>

#include <memory>

namespace pronghorn {

// Closes a heap-allocated, initialised handle and frees it in the close callback, on a later turn of the loop.
template <class Handle>
struct CloseOnLoop {
  void operator()(Handle* handle) const noexcept {
    handle->data = nullptr;  // a callback that runs before the close callback finds no owner
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
  }
};

// The sole owner, and the only closer, of one libuv handle. Reset it on the loop's thread. uv_loop_close() returns
// UV_EBUSY until the loop has turned once more after the reset. The handle must have been initialised: libuv cannot
// close a handle that uv_*_init has refused.
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

}  // namespace pronghorn
