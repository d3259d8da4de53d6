#include "worker/http/open_error.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "common/log.h"
#include "pronghorn/error.h"

namespace pronghorn::worker {
namespace {

void report_shortage(const std::string& path, int error) {
  using Clock = std::chrono::steady_clock;
  static std::atomic<Clock::rep> next_report{Clock::time_point::min().time_since_epoch().count()};
  const auto now = Clock::now().time_since_epoch();
  Clock::rep due = next_report.load();
  const Clock::rep next = (now + Clock::duration(std::chrono::minutes(1))).count();
  if (now.count() < due || !next_report.compare_exchange_strong(due, next)) return;
  log_error(
      "a file could not be opened; raise the limit of descriptors (LimitNOFILE, ulimit -n) or lower "
      "max_connections",
      {{"file", path}, {"error", std::generic_category().message(error)}});
}

}  // namespace

bool is_shortage(int error) noexcept { return error == EMFILE || error == ENFILE || error == ENOMEM; }

void throw_open_error(const std::string& path, int error) {
  if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ELOOP) throw not_found("no such file");
  if (!is_shortage(error)) throw std::system_error(error, std::generic_category(), "opening " + path);
  report_shortage(path, error);
  throw HttpError(503, "the server cannot open more files at the moment").retry_after(1);
}

}  // namespace pronghorn::worker
