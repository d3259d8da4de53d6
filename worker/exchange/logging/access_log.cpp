#include "worker/exchange/logging/access_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/log.h"
#include "worker/exchange/exchange.h"
#include "worker/http/head/status_text.h"
#include "worker/net/socket/tls_facts.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kLongUs = 10'000;  // a system call more costs nothing then

// What a line tells about one request.
struct Entry {
  Exchange& exchange;
  int status;
  std::uint64_t bytes;
  std::uint64_t microseconds;
  unsigned milliseconds;  // of the second
  const AccessLogTime& time;
};

// fmt's own formats cost more than all of the rest of a small request, so lines are put together by hand.
void append_number(std::string& out, std::uint64_t number) {
  const fmt::format_int text(number);
  out.append(text.data(), text.size());
}

// Three digits.
void append_thousandths(std::string& out, std::uint64_t number) {
  const char digits[] = {static_cast<char>('0' + number / 100 % 10), static_cast<char>('0' + number / 10 % 10),
                         static_cast<char>('0' + number % 10)};
  out.append(digits, sizeof digits);
}

void append_time(std::string& out, const Entry& entry) {
  out.append(entry.time.iso).append(".");
  append_thousandths(out, entry.milliseconds);
  out += 'Z';
}

void append_duration_ms(std::string& out, const Entry& entry) {
  append_number(out, entry.microseconds / 1000);
  out += '.';
  append_thousandths(out, entry.microseconds % 1000);
}

std::string escaped(std::string_view text) {
  std::string safe;
  append_json_escaped(safe, text);
  return safe;
}

void append_json(std::string& out, const Entry& entry) {
  const RequestHead& head = entry.exchange.head;
  const auto member = [&out](std::string_view name, std::string_view value) {
    out.append(",\"").append(name).append("\":\"");
    append_json_escaped(out, value);
    out += '"';
  };
  out += R"({"time":")";
  append_time(out, entry);
  out += '"';
  member("client", entry.exchange.client().address);
  member("method", head.method);
  member("target", head.target);
  member("route", entry.exchange.route);
  out += R"(,"status":)";
  append_number(out, static_cast<std::uint64_t>(entry.status));
  out += R"(,"bytes":)";
  append_number(out, entry.bytes);
  out += R"(,"duration_ms":)";
  append_duration_ms(out, entry);
  member("request_id", entry.exchange.id());
  member("trace_id", entry.exchange.caller_trace());
  member("user_agent", head.find("user-agent").value_or(""));
  if (const TlsFacts* const tls = entry.exchange.peer->tls) {
    member("tls_version", tls->version);
    member("tls_cipher", tls->cipher);
  }
  out += '}';
}

void append_text(std::string& out, const Entry& entry) {
  const RequestHead& head = entry.exchange.head;
  append_time(out, entry);
  out.append(" ").append(entry.exchange.client().address).append(" \"");
  append_json_escaped(out, head.method);
  out += ' ';
  append_json_escaped(out, head.target);
  out += "\" ";
  append_number(out, static_cast<std::uint64_t>(entry.status));
  out += ' ';
  append_number(out, entry.bytes);
  out += ' ';
  append_duration_ms(out, entry);
  out += "ms ";
  append_json_escaped(out, entry.exchange.id());
}

std::string or_dash(std::string_view text) { return text.empty() ? "-" : escaped(text); }

// As Apache's mod_ssl names them.
std::string_view tls_text(std::string_view variable, const TlsFacts* tls) noexcept {
  if (tls == nullptr) return "-";
  return variable == "SSL_CIPHER" ? tls->cipher : tls->version;
}

void append_directive(std::string& out, const AccessLogPiece& piece, const Entry& entry) {
  const RequestHead& head = entry.exchange.head;
  const auto append = [&out](const auto& value) { fmt::format_to(std::back_inserter(out), "{}", value); };
  switch (piece.directive) {
    case 'h':
      return append(entry.exchange.client().address);
    case 'r':
      if (head.method.empty()) return append("-");  // the head is malformed or never came
      return append(fmt::format("{} {} {}", escaped(head.method), escaped(head.target), head.version()));
    case 's':
      return append(entry.status);
    case 't':
      out.append("[").append(entry.time.common).append(" +0000]");
      return;
    case 'm':
      return append(or_dash(head.method));
    case 'b':
    case 'B':
      return append(entry.bytes);
    case 'D':
      return append(entry.microseconds);
    case 'T':
      return append(fmt::format("{:.3f}", static_cast<double>(entry.microseconds) / 1e6));
    case 'U':
      return append(or_dash(head.path));
    case 'q':
      return append(head.has_query ? "?" + escaped(head.query) : std::string());
    case 'H':
      return append(head.version());
    case 'P':
      return append(::getpid());
    case 'R':
      return append(or_dash(entry.exchange.route));
    case 'L':
      return append(escaped(entry.exchange.id()));
    case 'x':
      return append(tls_text(piece.text, entry.exchange.peer->tls));
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

AccessLog::AccessLog(const Config& config, std::atomic<std::uint64_t>* unwritten)
    : path_(config.access_log),
      unwritten_(unwritten),
      slow_us_(config.slow_request.count() == 0 ? UINT64_MAX
                                                : static_cast<std::uint64_t>(config.slow_request.count()) * 1000),
      long_us_(std::min(slow_us_, kLongUs)) {
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
    const std::string reason = error.code().message();
    if (unwritten_ == nullptr) throw std::runtime_error(fmt::format("access_log {}: {}", path_, reason));
    log_error("the access log cannot be opened: writing to standard output; reload when the file can be written",
              {{"file", path_}, {"reason", reason}});
    writer_.emplace("-", STDOUT_FILENO);
  }
}

AccessLog::~AccessLog() {
  if (!writer_) return;
  writer_->add(lines_);
  writer_->flush_now();
  lines_.clear();
  tell_unwritten();
}

void AccessLog::add(Exchange& exchange, int status, std::uint64_t bytes, std::uint64_t microseconds) {
  using namespace std::chrono;
  const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  if (now / 1000 != time_.second) {
    time_.second = now / 1000;
    const std::tm utc = fmt::gmtime(static_cast<std::time_t>(time_.second));
    time_.iso = fmt::format("{:%Y-%m-%dT%H:%M:%S}", utc);
    time_.common = fmt::format("{:%d/%b/%Y:%H:%M:%S}", utc);
  }
  const Entry entry{.exchange = exchange,
                    .status = status,
                    .bytes = bytes,
                    .microseconds = microseconds,
                    .milliseconds = static_cast<unsigned>(now % 1000),
                    .time = time_};
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
  ++gathered_;
  tell_unwritten();
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
  tell_unwritten();
  if (!writer_ || !writer_->accepts() || writer_->dropped() == reported_) return;
  log_warning("access log lines were dropped: their destination did not accept them in time",
              {{"lines", writer_->dropped() - std::exchange(reported_, writer_->dropped())}, {"file", path_}});
}

std::uint64_t AccessLog::take_dropped() noexcept {
  const std::uint64_t all = writer_ ? writer_->dropped() : 0;
  const std::uint64_t dropped = all - std::exchange(taken_, all);
  tell_unwritten();
  return dropped;
}

void AccessLog::tell_unwritten() noexcept {
  if (lines_.empty()) gathered_ = 0;
  if (unwritten_ == nullptr || !writer_) return;
  unwritten_->store(gathered_ + writer_->waiting() + writer_->dropped() - taken_, std::memory_order_relaxed);
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
