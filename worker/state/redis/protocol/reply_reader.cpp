#include "worker/state/redis/protocol/reply_reader.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <new>
#include <utility>

namespace pronghorn::detail {

using worker::ReplyReader;

// The functions that hiredis calls while it parses. For an element of an array, hiredis passes the pointer that we
// returned for the array. That pointer stays valid: the array moves only when its parent gets another element, which
// hiredis begins after the array is complete.
struct ReplyBuilder {
  // Adds a nil reply where `task` belongs.
  static Reply& place(const redisReadTask* task) {
    if (task->parent != nullptr) {
      return std::get<Reply::Array>(static_cast<Reply*>(task->parent->obj)->value_).emplace_back();
    }
    Reply& root = static_cast<ReplyReader*>(task->privdata)->root_;
    root.value_.emplace<std::monostate>();
    return root;
  }

  static void* string(const redisReadTask* task, char* text, std::size_t length) noexcept {
    Reply& reply = place(task);
    if (task->type == REDIS_REPLY_ERROR) {
      reply.value_.emplace<Reply::Error>().message.assign(text, length);
    } else {
      reply.value_.emplace<std::string>(text, length);
    }
    return &reply;
  }
  template <class Count>  // int in hiredis 0.14, size_t in 1.x
  static void* array(const redisReadTask* task, Count elements) noexcept {
    Reply& reply = place(task);
    reply.value_.emplace<Reply::Array>().reserve(std::min(static_cast<std::size_t>(elements), std::size_t{64}));
    return &reply;
  }
  static void* integer(const redisReadTask* task, long long value) noexcept {
    Reply& reply = place(task);
    reply.value_.emplace<std::int64_t>(value);
    return &reply;
  }
  static void* nil(const redisReadTask* task) noexcept { return &place(task); }
  static void release(void*) noexcept {}  // the ReplyReader owns the reply under construction
#if HIREDIS_MAJOR >= 1
  // Types of RESP3, which we never ask Redis for.
  static void* floating(const redisReadTask* task, double, char* text, std::size_t length) noexcept {
    return string(task, text, length);
  }
  static void* boolean(const redisReadTask* task, int value) noexcept { return integer(task, value); }
#endif

  static redisReplyObjectFunctions functions() noexcept {
    redisReplyObjectFunctions table{};
    table.createString = string;
    table.createArray = array;
    table.createInteger = integer;
    table.createNil = nil;
    table.freeObject = release;
#if HIREDIS_MAJOR >= 1
    table.createDouble = floating;
    table.createBool = boolean;
#endif
    return table;
  }
};

}  // namespace pronghorn::detail

namespace pronghorn::worker {

namespace {
redisReplyObjectFunctions builder_functions = pronghorn::detail::ReplyBuilder::functions();
}

ReplyReader::ReplyReader() : reader_(redisReaderCreateWithFunctions(&builder_functions)) {
  if (reader_ == nullptr) throw std::bad_alloc();
  reader_->privdata = this;
}

ReplyReader::~ReplyReader() { redisReaderFree(reader_); }

// The reader remembers a failure; next() reports it.
void ReplyReader::feed(std::string_view bytes) { redisReaderFeed(reader_, bytes.data(), bytes.size()); }

ReplyReader::Next ReplyReader::next(Reply& reply) {
  void* whole = nullptr;
  if (redisReaderGetReply(reader_, &whole) != 0) return Next::malformed;
  if (whole != nullptr) {
    reply = std::move(root_);
    return Next::reply;
  }
  return reader_->len - reader_->pos > kMaxBuffered ? Next::malformed : Next::incomplete;
}

std::string ReplyReader::error() const { return reader_->err != 0 ? reader_->errstr : "a reply exceeds 512 MiB"; }

}  // namespace pronghorn::worker
