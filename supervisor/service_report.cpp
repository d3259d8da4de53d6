#include "supervisor/service_report.h"

namespace pronghorn::supervisor {

void ServiceReport::rollout_begins() {
  if (!std::exchange(told_rollout_, true)) manager_.reloading("replacing workers");
}

void ServiceReport::update(bool rolling_out, const std::string& status) {
  if (rolling_out) return rollout_begins();
  if (std::exchange(told_rollout_, false)) {
    manager_.ready(status);
  } else {
    manager_.status(status);
  }
}

void ServiceReport::keep_listeners() {
  for (const Listeners::Listener& listener : listeners_.all()) {
    if (listener.slot && !listeners_.live(*listener.slot)) continue;
    const std::string name = Listeners::stored_name(listener);
    if (kept_.emplace(name, listener.fd).second) manager_.keep(listener.fd, name);
  }
}

void ServiceReport::forget(const Listeners::Listener& listener) {
  const std::string name = Listeners::stored_name(listener);
  if (std::erase_if(kept_, [&name](const auto& kept) { return kept.first == name; }) > 0) manager_.forget(name);
}

void ServiceReport::close_listeners() {
  std::set<std::string> names;
  for (const auto& [name, fd] : kept_) names.insert(name);
  for (const std::string& name : names) manager_.forget(name);
  kept_.clear();
  listeners_.close();
}

}  // namespace pronghorn::supervisor
