// The keys in Redis of the jobs of one name.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// A name of jobs: 1 to 64 letters, digits, '-' or '_'.
[[nodiscard]] bool is_job_name(std::string_view name) noexcept;
// The name in an id, "NAME.32 hex digits". Empty if the id is not of that form.
[[nodiscard]] std::string_view name_in_id(std::string_view id) noexcept;

// PREFIX:j:{PREFIX:NAME}:PART for each of the parts, in the order of KEYS in the scripts. The jobs of one name are on one
// node of a Redis Cluster, those of another name maybe on another.
class QueueKeys {
 public:
  // `prefix` is key_prefix() of the application.
  QueueKeys(std::string_view prefix, std::string_view name);
  // The views live as long as this object.
  QueueKeys(const QueueKeys&) = delete;
  QueueKeys& operator=(const QueueKeys&) = delete;

  using Views = std::array<std::string_view, 12>;
  [[nodiscard]] const Views& all() const noexcept { return views_; }

 private:
  std::array<std::string, 12> keys_;
  Views views_;
};

// The set of the names that jobs have been enqueued under, and the channel on which it is said that a job waits.
[[nodiscard]] std::string job_names_key(std::string_view prefix);
[[nodiscard]] std::string jobs_channel(std::string_view prefix);

}  // namespace pronghorn::worker
