#include "supervisor/tls/certificate_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "common/log.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::int64_t kDay = 24 * 3600;
constexpr std::array<int, 5> kMarks{0, 1, 3, 7, 14};  // days that are left

// The smallest mark that is reached.
std::optional<int> mark_of(std::int64_t left) {
  if (left <= 0) return 0;
  for (const int mark : kMarks) {
    if (mark > 0 && left <= mark * kDay) return mark;
  }
  return std::nullopt;
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
    const auto mark = mark_of(facts.not_after - now);
    const auto told = told_days_.find(facts.file);
    if (!mark) continue;
    const bool known = told != told_days_.end() && told->second.not_after == facts.not_after;
    if (known && told->second.mark <= *mark) continue;
    told_days_[facts.file] = {.not_after = facts.not_after, .mark = *mark};
    const std::string names = names_text(facts, 100);
    if (*mark == 0) {
      log_error(
          fmt::format("the certificate {} for {} has expired: clients refuse it; renew it and run \"pronghorn "
                      "reload\"",
                      facts.file, names));
      continue;
    }
    log_warning(
        fmt::format("the certificate {} for {} expires at {}, in {} days; renew it and run \"pronghorn reload\"",
                    facts.file, names, utc_text(facts.not_after), (facts.not_after - now) / kDay));
  }
}

}  // namespace pronghorn::supervisor
