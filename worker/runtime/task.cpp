// Memory for coroutine frames: per-thread free lists by size, because a handler's frames have the same few sizes every
// time.
#include <array>
#include <cstddef>
#include <new>
#include <stdexcept>

#include "pronghorn/task.h"

namespace pronghorn::detail {

void throw_task_misused(std::coroutine_handle<> task) {
  if (!task) throw std::logic_error("an empty Task was awaited: it has no coroutine, or was moved from");
  throw std::logic_error(task.done() ? "a Task that had ended was awaited for the second time"
                                     : "a Task that was still running was awaited for the second time");
}

#ifdef PRONGHORN_ADDRESS_SANITIZER

// AddressSanitizer detects the use of a freed frame only if the frame is actually freed.
void* allocate_frame(std::size_t size) { return ::operator new(size); }
void free_frame(void* frame, std::size_t size) noexcept { ::operator delete(frame, size); }

#else

namespace {

constexpr std::size_t kStep = 64;               // bytes between two size classes
constexpr std::size_t kLargest = 4096;          // larger frames are not pooled
constexpr std::size_t kKeptBytes = 256 * 1024;  // per class

struct FreeFrame {
  FreeFrame* next;
};
struct FreeList {
  FreeFrame* first = nullptr;
  std::size_t room = 0;  // for how many more frames; 0 also until the thread frees its first one
};
// Has no destructor, so that frames can be freed until the very end of the thread.
thread_local constinit std::array<FreeList, kLargest / kStep> free_lists{};
thread_local constinit bool has_room = false;
thread_local constinit bool thread_ended = false;

struct Cleaner {
  ~Cleaner() {
    thread_ended = true;
    for (FreeList& list : free_lists) {
      while (list.first) {
        FreeFrame* const frame = list.first;
        list.first = frame->next;
        ::operator delete(frame);
      }
      list.room = 0;
    }
  }
};

constexpr std::size_t class_of(std::size_t size) noexcept { return (size + kStep - 1) / kStep - 1; }

// Of a frame that no list has room for: it is too large, its list is full, or it is the first one of the thread.
[[gnu::noinline]] void free_without_room(void* frame, std::size_t size) noexcept {
  if (size > kLargest || has_room || thread_ended) return ::operator delete(frame);
  has_room = true;
  thread_local Cleaner cleaner;
  for (std::size_t i = 0; i < free_lists.size(); ++i) free_lists[i].room = kKeptBytes / ((i + 1) * kStep);
  free_frame(frame, size);
}

}  // namespace

void* allocate_frame(std::size_t size) {
  if (size > kLargest) return ::operator new(size);
  FreeList& list = free_lists[class_of(size)];
  if (FreeFrame* const frame = list.first) {
    list.first = frame->next;
    ++list.room;
    return frame;
  }
  return ::operator new((class_of(size) + 1) * kStep);
}

void free_frame(void* frame, std::size_t size) noexcept {
  if (size > kLargest) return free_without_room(frame, size);
  FreeList& list = free_lists[class_of(size)];
  if (list.room == 0) return free_without_room(frame, size);
  list.first = new (frame) FreeFrame{list.first};
  --list.room;
}

#endif

}  // namespace pronghorn::detail
