// "did you mean …": finds the known name nearest to an unknown one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::server {

// The number of insertions, deletions, substitutions and swaps of neighbours that turn one text into the other.
[[nodiscard]] std::size_t edit_distance(std::string_view from, std::string_view to);

// The candidate nearest to `name`, ignoring case and treating '-' as '_'. Empty if more than a third of the name would
// have to change.
[[nodiscard]] std::string closest(std::string_view name, const std::vector<std::string>& candidates);

// `; did you mean "workers"?`, or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace pronghorn::server
