// "did you mean …": the known name that is nearest to an unknown one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::server {

// Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other.
[[nodiscard]] std::size_t edit_distance(std::string_view from, std::string_view to);

// The candidate nearest to `name`, compared without case and with '-' like '_'; empty when none is near (more than a
// third of it would have to change).
[[nodiscard]] std::string closest(std::string_view name, const std::vector<std::string>& candidates);

// `; did you mean "workers"?`, or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace pronghorn::server
