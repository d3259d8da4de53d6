#include "worker/exchange/access_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/log.h"
#include "worker/exchange/exchange.h"
#include "worker/http/status_text.h"

namespace pronghorn::worker {
namespace {

// What a line tells about one request.
struct Entry {
  Exchange& exchange;
  int status;
  std::uint64_t bytes;
  std::uint64_t microseconds;
  std::chrono::system_clock::time_point at = std::chrono::system_clock::now();

  [[nodiscard]] std::tm time() const { return fmt::gmtime(std::chrono::system_clock::to_time_t(at)); }
  [[nodiscard]] long long milliseconds() const {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(at).time_since_epoch().count() % 1000;
  }
  [[nodiscard]] double duration_ms() const { return static_cast<double>(microseconds) / 1000.0; }
};

std::string escaped(std::string_view text) {
  std::string safe;
  append_json_escaped(safe, text);
  return safe;
}

void append_json(std::string& out, const Entry& entry) {
  const RequestHead& head = entry.exchange.head;
  fmt::format_to(std::back_inserter(out),
                 R"({{"time":"{:%Y-%m-%dT%H:%M:%S}.{:03}Z","client":"{}","method":"{}","target":"{}","route":"{}",)"
                 R"("status":{},"bytes":{},"duration_ms":{:.3f},"request_id":"{}","trace_id":"{}","user_agent":"{}"}})",
                 entry.time(), entry.milliseconds(), entry.exchange.client().address, escaped(head.method),
                 escaped(head.target), escaped(entry.exchange.route), entry.status, entry.bytes, entry.duration_ms(),
                 escaped(entry.exchange.id()), entry.exchange.caller_trace(),
                 escaped(head.find("user-agent").value_or("")));
}

void append_text(std::string& out, const Entry& entry) {
  const RequestHead& head = entry.exchange.head;
  fmt::format_to(std::back_inserter(out), "{:%Y-%m-%dT%H:%M:%S}.{:03}Z {} \"{} {}\" {} {} {:.3f}ms {}", entry.time(),
                 entry.milliseconds(), entry.exchange.client().address, escaped(head.method), escaped(head.target),
                 entry.status, entry.bytes, entry.duration_ms(), escaped(entry.exchange.id()));
}

std::string or_dash(std::string_view text) { return text.empty() ? "-" : escaped(text); }

void append_directive(std::string& out, const AccessLogPiece& piece, const Entry& entry) {
  const RequestHead& head = entry.exchange.head;
  const auto append = [&out](const auto& value) { fmt::format_to(std::back_inserter(out), "{}", value); };
  switch (piece.directive) {
    case 'h':
      return append(entry.exchange.client().address);
    case 'r':
      return append(fmt::format("{} {} HTTP/1.{}", escaped(head.method), escaped(head.target), head.minor_version));
    case 's':
      return append(entry.status);
    case 't':
      return append(fmt::format("[{:%d/%b/%Y:%H:%M:%S} +0000]", entry.time()));
    case 'm':
      return append(escaped(head.method));
    case 'b':
    case 'B':
      return append(entry.bytes);
    case 'D':
      return append(entry.microseconds);
    case 'T':
      return append(fmt::format("{:.3f}", entry.duration_ms() / 1000.0));
    case 'U':
      return append(escaped(head.path));
    case 'q':
      return append(head.has_query ? "?" + escaped(head.query) : std::string());
    case 'H':
      return append(fmt::format("HTTP/1.{}", head.minor_version));
    case 'P':
      return append(::getpid());
    case 'R':
      return append(or_dash(entry.exchange.route));
    case 'L':
      return append(escaped(entry.exchange.id()));
    case 'i':
      return append(or_dash(head.find(piece.text).value_or("")));
    default:  // 'l', 'u': who the client says it is
      return append("-");
  }
}

void append_pattern(std::string& out, const std::vector<AccessLogPiece>& pattern, const Entry& entry) {
  for (const AccessLogPiece& piece : pattern) {
    if (piece.directive == 0) {
      out += piece.text;
    } else {
      append_directive(out, piece, entry);
    }
  }
}

}  // namespace

AccessLog::AccessLog(const Config& config)
    : path_(config.access_log),
      slow_us_(config.slow_request.count() == 0 ? UINT64_MAX
                                                : static_cast<std::uint64_t>(config.slow_request.count()) * 1000) {
  const std::string& format = config.access_log_format;
  if (format == "json" || (format.empty() && config.log_format == "json")) {
    format_ = Format::json;
  } else if (!format.empty() && format != "text") {
    format_ = Format::pattern;
    pattern_ = parse_access_log_pattern(format == "combined" ? kCombinedPattern : format);
  }
  if (path_ == "off" || path_.empty()) return;
  try {
    writer_.emplace(path_, STDOUT_FILENO);
  } catch (const std::system_error& error) {
    throw std::runtime_error(fmt::format("access_log {}: {}", path_, error.code().message()));
  }
}

void AccessLog::add(Exchange& exchange, int status, std::uint64_t bytes, std::uint64_t microseconds) {
  const Entry entry{.exchange = exchange, .status = status, .bytes = bytes, .microseconds = microseconds};
  switch (format_) {
    case Format::json:
      append_json(lines_, entry);
      break;
    case Format::text:
      append_text(lines_, entry);
      break;
    case Format::pattern:
      append_pattern(lines_, pattern_, entry);
      break;
  }
  lines_ += '\n';
}

void AccessLog::warn_slow(Exchange& exchange, int status, std::uint64_t microseconds) {
  log_warning(fmt::format("slow request: {} {} took {:.3f} s", exchange.head.method, exchange.head.path,
                          static_cast<double>(microseconds) / 1e6),
              {{"request", exchange.id()},
               {"route", exchange.route},
               {"status", status},
               {"client", exchange.client().address}});
}

void AccessLog::write() noexcept {
  if (writer_) {
    writer_->add(lines_);
    writer_->flush();
  }
  lines_.clear();
  if (!writer_ || writer_->pending() || writer_->dropped() == reported_) return;
  log_warning("access log lines were dropped: their destination did not accept them in time",
              {{"lines", writer_->dropped() - std::exchange(reported_, writer_->dropped())}, {"file", path_}});
}

std::uint64_t AccessLog::take_dropped() noexcept {
  const std::uint64_t all = writer_ ? writer_->dropped() : 0;
  return all - std::exchange(taken_, all);
}

void AccessLog::reopen() noexcept {
  if (!writer_) return;
  flush();
  try {
    writer_->reopen();
  } catch (const std::system_error& error) {
    log_warning("cannot reopen the access log: still writing to the old file; check its folder",
                {{"file", path_}, {"reason", error.code().message()}});
  }
}

}  // namespace pronghorn::worker
