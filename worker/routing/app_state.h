// What the setup function adds through App, Group and Route.
//
// Context: filled while setup runs, read-only afterwards.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "pronghorn/app.h"
#include "pronghorn/cache.h"
#include "pronghorn/topics.h"
#include "worker/routing/router.h"
#include "worker/runtime/periodic_tasks.h"
#include "worker/state/jobs/queue/job_entry.h"
#include "worker/websocket/route/socket_entry.h"

namespace pronghorn::detail {

struct GroupEntry {
  std::string prefix;  // whole, with those of the enclosing groups
  const GroupEntry* parent = nullptr;
  std::vector<Middleware> middleware;  // in the order of use()
};

struct RouteEntry {
  std::string method;
  std::string path;  // whole
  std::string name;  // "GET /path", or what Route::name() said
  Handler handler;
  const GroupEntry* group = nullptr;
  std::vector<Middleware> middleware;  // the route's own
  std::vector<Limit> limits;
  std::optional<std::chrono::milliseconds> deadline;
  std::optional<std::uint64_t> max_body;
  std::optional<IdempotentOptions> idempotent;
  std::optional<CachedOptions> cached;
  bool changes = false;     // of an unsafe method: what it does may change what a cached() route answers
  bool is_changed = false;  // cached(): there is such a route
  Priority priority = Priority::normal;
  const SocketEntry* socket = nullptr;  // of a route of WebSockets
};

struct StateEntry {
  const std::type_info* type;
  StateMaker make;
  void (*destroy)(void*) noexcept;
};

struct EventEntry {
  std::string pattern;
  EventHandler handler;
};

struct AppState {
  AppState() { groups.emplace_back(); }
  AppState(const AppState&) = delete;
  AppState& operator=(const AppState&) = delete;
  ~AppState() = default;

  std::deque<GroupEntry> groups;  // the first is the application itself
  std::deque<RouteEntry> routes;  // their numbers in the router are their positions here
  std::deque<SocketEntry> sockets;
  worker::Router router;
  std::vector<StateEntry> states;
  std::vector<Hook> start_hooks;
  std::vector<Hook> drain_hooks;
  std::vector<Hook> stop_hooks;
  std::vector<worker::PeriodicTask> periodic_tasks;
  std::vector<EventEntry> event_handlers;
  std::vector<worker::JobEntry> jobs;
  std::vector<worker::ScheduleEntry> schedules;
  ErrorHandler error_handler;
  std::map<std::string, std::string, std::less<>> settings;
  std::string folder;  // see App::folder()
};

}  // namespace pronghorn::detail
