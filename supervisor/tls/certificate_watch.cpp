#include "supervisor/tls/certificate_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "common/log.h"
#include "common/text/time_left.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::int64_t kDay = 24 * 3600;
constexpr std::array<std::int64_t, 3> kMarks{1 * kDay, 3 * kDay, 7 * kDay};  // time that is left

// The smallest mark that is reached; the largest one is that of renew_by().
std::optional<std::int64_t> mark_of(const CertificateFacts& facts, std::int64_t now) {
  const std::int64_t left = facts.not_after - now;
  const std::int64_t first = facts.not_after - renew_by(facts);
  if (left <= 0) return 0;
  if (left > first) return std::nullopt;
  for (const std::int64_t mark : kMarks) {
    if (left <= mark) return std::min(mark, first);
  }
  return first;
}

}  // namespace

void CertificateWatch::use(std::shared_ptr<const TlsMaterial> material, std::int64_t now) {
  material_ = std::move(material);
  if (material_ != nullptr && material_->doubts != told_doubts_) {
    told_doubts_ = material_->doubts;
    for (const std::string& doubt : told_doubts_) log_warning("tls_certificate " + doubt);
  }
  publish();
  tick(now);
}

void CertificateWatch::publish() {
  std::vector<const CertificateFacts*> shown;
  if (material_ != nullptr) {
    for (const CertificateFacts& facts : material_->certificates) shown.push_back(&facts);
  }
  if (shown.size() > kMaxCertificateRows) {
    std::ranges::stable_sort(shown, {}, [](const CertificateFacts* facts) { return facts->not_after; });
    shown.resize(kMaxCertificateRows);
  }
  constexpr std::size_t kNames = 255;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    CertificateRow& row = server_.certificate_rows[i];
    row.file.set(shown[i]->file);
    row.names.set(names_text(*shown[i], kNames));
    row.not_after.store(static_cast<std::uint64_t>(std::max<std::int64_t>(shown[i]->not_after, 0)));
    row.renew_by.store(static_cast<std::uint64_t>(std::max<std::int64_t>(renew_by(*shown[i]), 0)));
  }
  server_.certificates.store(static_cast<std::uint32_t>(shown.size()));
}

void CertificateWatch::tick(std::int64_t now) {
  if (material_ == nullptr) return;
  for (const CertificateFacts& facts : material_->certificates) {
    if (facts.staple_until != 0 && facts.staple_until <= now &&
        std::exchange(told_staple_[facts.file], facts.staple_until) != facts.staple_until) {
      log_warning(
          fmt::format("the OCSP response {}.ocsp is out of date and no longer stapled; fetch it again and run "
                      "\"pronghorn reload\"",
                      facts.file));
    }
    const auto mark = mark_of(facts, now);
    const auto told = told_marks_.find(facts.file);
    if (!mark) continue;
    const bool known = told != told_marks_.end() && told->second.not_after == facts.not_after;
    if (known && told->second.mark <= *mark) continue;
    told_marks_[facts.file] = {.not_after = facts.not_after, .mark = *mark};
    const std::string names = names_text(facts, 100);
    if (*mark == 0) {
      log_error(
          fmt::format("the certificate {} for {} has expired: clients refuse it; renew it and run \"pronghorn "
                      "reload\"",
                      facts.file, names));
      continue;
    }
    log_warning(fmt::format("the certificate {} for {} expires at {}, in {}; renew it and run \"pronghorn reload\"",
                            facts.file, names, utc_text(facts.not_after), time_left_text(facts.not_after - now)));
  }
}

}  // namespace pronghorn::supervisor
