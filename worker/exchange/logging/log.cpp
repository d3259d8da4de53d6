#include "pronghorn/log.h"

#include <vector>

#include "common/log.h"
#include "worker/exchange/running.h"

namespace pronghorn::log {

void write(Level level, std::string_view message, const Field* fields, std::size_t count) {
  constexpr LogLevel kLevels[] = {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error};
  std::vector<LogField> all;
  all.reserve(count + 2);
  // Null on pool threads, because offloaded work may outlive its request.
  if (worker::Exchange* const exchange = worker::running_exchange()) {
    all.emplace_back("request", exchange->id());
    if (const std::string_view trace = exchange->caller_trace(); !trace.empty()) all.emplace_back("trace", trace);
  }
  for (std::size_t i = 0; i < count; ++i) all.emplace_back(fields[i].name, fields[i].value, fields[i].is_text);
  write_log(kLevels[static_cast<std::size_t>(level)], message, all.data(), all.size());
}

}  // namespace pronghorn::log
