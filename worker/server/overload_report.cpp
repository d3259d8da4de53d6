#include "worker/server/overload_report.h"

#include <chrono>
#include <ctime>

#include "common/log.h"

namespace pronghorn::worker {
namespace {

std::int64_t milliseconds(Admission::Duration time) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

}  // namespace

void report_overload(Admission& admission, WorkerRow& row) {
  const Admission::Time now = Admission::Time::clock::now();
  const auto since = admission.overloaded_since();  // asked first: tick() may end the spell
  switch (admission.tick(now)) {
    case Admission::Change::none:
      return;
    case Admission::Change::began: {
      const auto began = std::chrono::duration_cast<std::chrono::seconds>(now - since.value_or(now)).count();
      row.overloaded_since_at.store(static_cast<std::uint64_t>(std::time(nullptr) - began));
      row[Count::overloaded].store(1);
      return log_warning("overloaded: requests that have waited for too long are answered 503",
                         {{"longest_wait_ms", milliseconds(admission.longest_admitted_wait())}});
    }
    case Admission::Change::ended:
      row[Count::overloaded].store(0);
      row.overloaded_since_at.store(0);
      return log_info("no longer overloaded", {{"lasted_ms", milliseconds(now - *since)},
                                               {"shed_critical", admission.shed(Priority::critical)},
                                               {"shed_normal", admission.shed(Priority::normal)},
                                               {"shed_background", admission.shed(Priority::background)}});
  }
}

}  // namespace pronghorn::worker
