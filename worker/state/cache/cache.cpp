// Implements pronghorn/cache.h.
#include "pronghorn/cache.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "worker/state/cache/cache_service.h"

namespace pronghorn {
namespace {

Task<std::optional<std::string>> fetch_optional(worker::CacheService& service,
                                                std::shared_ptr<worker::CacheCall> call) {
  worker::CacheAnswer answer = co_await service.fetch(std::move(call));
  co_return std::move(answer.value);
}

Task<std::string> fetch_text(worker::CacheService& service, std::shared_ptr<worker::CacheCall> call) {
  worker::CacheAnswer answer = co_await service.fetch(std::move(call));
  co_return std::move(answer.value.value());
}

worker::CacheService& inner(detail::CacheService& service) noexcept {
  return static_cast<worker::CacheService&>(service);
}

}  // namespace

void CacheTags::require_room(std::size_t count) {
  if (count > kMost) throw std::invalid_argument(fmt::format("cache: {} tags, more than {}", count, kMost));
}

Task<std::optional<std::string>> Cache::fetch(std::string_view key, const CacheOptions& options,
                                              std::shared_ptr<detail::CacheFill> fill) {
  auto call = inner(*service_).prepare(key, options);
  call->fill = std::move(fill);
  return fetch_optional(inner(*service_), std::move(call));
}

Task<std::string> Cache::fetch_value(std::string_view key, const CacheOptions& options,
                                     std::shared_ptr<detail::CacheFill> fill) {
  auto call = inner(*service_).prepare(key, options);
  call->fill = std::move(fill);
  call->accepts_missing = false;
  return fetch_text(inner(*service_), std::move(call));
}

const std::string* Cache::find_local(std::string_view key) { return inner(*service_).find_local(key); }

Task<void> Cache::invalidate(std::string_view key) { return inner(*service_).invalidate(key); }

Task<void> Cache::invalidate_tag(std::string_view tag) { return inner(*service_).invalidate_tag(tag); }

Task<void> Cache::write(WriteOrder order, std::string_view key, std::string value, const CacheOptions& options,
                        std::unique_ptr<detail::CacheSave> save) {
  worker::CacheService& service = inner(*service_);
  auto call = service.prepare(key, options);
  if (value.size() > options.max_value) {
    throw std::length_error(
        fmt::format("cache: a value of {} bytes, more than max_value ({})", value.size(), options.max_value));
  }
  if (order == WriteOrder::through) return service.write_through(std::move(call), std::move(value), std::move(save));
  return service.write_behind(std::move(call), std::move(value), std::move(save));
}

}  // namespace pronghorn
