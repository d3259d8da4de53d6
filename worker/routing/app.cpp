#include "pronghorn/app.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "pronghorn/cache.h"
#include "worker/files/files.h"
#include "worker/routing/app_state.h"
#include "worker/runtime/exception_text.h"
#include "worker/state/events/messages/topic_names.h"
#include "worker/state/jobs/queue/job_entry.h"
#include "worker/websocket/upgrade.h"

namespace pronghorn {

namespace {

constexpr std::chrono::milliseconds kLongestKeep = std::chrono::days(366);

bool is_empty(const auto& one_of_several_functions) {
  return std::visit([](const auto& function) { return !function; }, one_of_several_functions);
}

void require_function(const Middleware& middleware) {
  if (is_empty(middleware.function())) throw std::invalid_argument("use(): the middleware is empty");
}

}  // namespace

Route Route::limit(Limit limit) {
  if (limit.count == 0 || limit.window.count() <= 0) {
    throw std::invalid_argument(
        fmt::format("route \"{}\": a limit needs a count and a window above zero, not {} per "
                    "{} ms",
                    entry_->name, limit.count, limit.window.count()));
  }
  if (limit.algorithm == LimitAlgorithm::concurrency && limit.permits_leased > 0) {
    throw std::invalid_argument(
        fmt::format("route \"{}\": a concurrency limit cannot be leased(): its requests end one by one", entry_->name));
  }
  entry_->limits.push_back(std::move(limit));
  return *this;
}

Route Route::deadline(std::chrono::milliseconds limit) {
  if (limit.count() < 0) {
    throw std::invalid_argument(
        fmt::format("route \"{}\": the deadline is negative: {} ms", entry_->name, limit.count()));
  }
  entry_->deadline = limit;
  return *this;
}

Route Route::max_body(std::uint64_t bytes) {
  entry_->max_body = bytes;
  return *this;
}

Route Route::idempotent(IdempotentOptions options) {
  if (entry_->method != "POST" && entry_->method != "PATCH") {
    throw std::invalid_argument(fmt::format("route \"{}\": idempotent() is for POST and PATCH", entry_->name));
  }
  if (options.keep.count() <= 0 || options.keep > kLongestKeep) {
    throw std::invalid_argument(
        fmt::format("route \"{}\": keys must be kept for more than zero and at most 366 days, not {} ms", entry_->name,
                    options.keep.count()));
  }
  entry_->idempotent = std::move(options);
  return *this;
}

Route Route::cached(const CachedOptions& options) {
  const auto require = [this](bool valid, std::string_view what) {
    if (!valid) throw std::invalid_argument(fmt::format("route \"{}\": cached(): {}", entry_->name, what));
  };
  require(entry_->method == "GET", "is for GET");
  require(options.ttl.count() >= 0 && options.ttl <= kLongestKeep, "ttl is from zero to 366 days");
  require(options.stale.count() >= 0 && options.stale <= kLongestKeep, "stale is from zero to 366 days");
  require(options.tags.size() <= CacheTags::kMost, "there are too many tags");
  const auto is_tag = [](const std::string& tag) { return !tag.empty() && tag.size() <= Cache::kMaxKey; };
  require(std::ranges::all_of(options.tags, is_tag), "a tag has 1 to 1024 bytes");
  entry_->cached = options;
  return *this;
}

Route Route::priority(Priority priority) {
  entry_->priority = priority;
  return *this;
}

Route Route::name(std::string_view name) {
  if (name.empty()) throw std::invalid_argument(fmt::format("route \"{}\": the name is empty", entry_->name));
  entry_->name = name;
  return *this;
}

Route Route::use(Middleware middleware) {
  require_function(middleware);
  entry_->middleware.push_back(std::move(middleware));
  return *this;
}

Group Group::group(std::string_view prefix) {
  if (prefix == "/") prefix = {};
  if (!prefix.empty() && (prefix.front() != '/' || prefix.back() == '/')) {
    throw std::invalid_argument(
        fmt::format("group \"{}\": a prefix begins with '/' and does not end with one", prefix));
  }
  return {*app_, app_->groups.emplace_back(detail::GroupEntry{entry_->prefix + std::string(prefix), entry_, {}})};
}

Route Group::add_route(std::string_view method, std::string_view path, detail::Handler handler) {
  detail::RouteEntry entry;
  entry.method = method;
  entry.path = entry_->prefix + std::string(path);
  entry.name = entry.method + " " + entry.path;
  entry.group = entry_;
  if (is_empty(handler)) throw std::invalid_argument(fmt::format("route \"{}\": the handler is empty", entry.name));
  entry.handler = std::move(handler);
  app_->router.add(entry.method, entry.path, static_cast<std::uint32_t>(app_->routes.size()));
  return Route(app_->routes.emplace_back(std::move(entry)));
}

WebSocketRoute Group::websocket(std::string_view path, WebSocketHandlers handlers) {
  detail::SocketEntry& socket = app_->sockets.emplace_back();
  socket.handlers = std::move(handlers);
  const detail::CoroutineHandler upgrade = [&socket](Request& request) {
    return worker::upgrade_to_websocket(request, socket);
  };
  const Route route = add_route("GET", path, upgrade);
  app_->routes.back().socket = &socket;
  return {route, socket};
}

void Group::use(Middleware middleware) {
  require_function(middleware);
  entry_->middleware.push_back(std::move(middleware));
}

void Group::serve_files(std::string_view prefix, const std::string& directory, const FilesOptions& options) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  // Shared by the copies of the handler.
  const auto files = std::make_shared<worker::FileServer>(directory, options);
  get(std::string(prefix) + "/{path...}", [files](Request& request) { return files->serve(request); });
  if (!prefix.empty() || !entry_->prefix.empty()) {
    get(prefix, [](Request& request) { return worker::FileServer::redirect_to_folder(request); });
  }
}

App::App(detail::AppState& state) noexcept : Group(state, state.groups.front()) {}

const std::string& App::folder() const noexcept { return app_->folder; }

std::optional<std::string> App::Settings::get(std::string_view key) const {
  const auto found = app_->settings.find(key);
  if (found == app_->settings.end()) return std::nullopt;
  return found->second;
}

void App::add_state(const std::type_info& type, detail::StateMaker make, void (*destroy)(void*) noexcept) {
  const std::string name = worker::type_name(type);
  if (!make) throw std::invalid_argument(fmt::format("state<{}>(): the function is empty", name));
  if (std::ranges::any_of(app_->states, [&type](const auto& entry) { return *entry.type == type; })) {
    throw std::invalid_argument(fmt::format("state<{0}>(): there is a state of type {0} already", name));
  }
  app_->states.push_back({&type, std::move(make), destroy});
}

void App::add_start_hook(detail::Hook hook) {
  if (!hook) throw std::invalid_argument("on_start(): the hook is empty");
  app_->start_hooks.push_back(std::move(hook));
}

void App::add_drain_hook(detail::Hook hook) {
  if (!hook) throw std::invalid_argument("on_drain(): the hook is empty");
  app_->drain_hooks.push_back(std::move(hook));
}

void App::add_periodic_task(std::chrono::milliseconds period, detail::Hook task) {
  if (!task) throw std::invalid_argument("every(): the task is empty");
  if (period.count() < 1) {
    throw std::invalid_argument(fmt::format("every({} ms): the period must be at least 1 ms", period.count()));
  }
  app_->periodic_tasks.push_back({period, std::move(task)});
}

void App::add_stop_hook(detail::Hook hook) {
  if (!hook) throw std::invalid_argument("on_stop(): the hook is empty");
  app_->stop_hooks.push_back(std::move(hook));
}

void App::on_event(std::string_view pattern, EventHandler handler) {
  worker::require_pattern(pattern);
  if (!handler.function()) throw std::invalid_argument(fmt::format("on_event(\"{}\"): the handler is empty", pattern));
  app_->event_handlers.push_back({std::string(pattern), std::move(handler)});
}

void App::job(std::string_view name, JobHandler run, const JobOptions& options) {
  worker::JobEntry entry{std::string(name), run.function(), options};
  worker::check(entry);
  if (std::ranges::any_of(app_->jobs, [name](const auto& job) { return job.name == name; })) {
    throw std::invalid_argument(fmt::format("job \"{}\": there is a job of this name already", name));
  }
  app_->jobs.push_back(std::move(entry));
}

void App::job(std::string_view name, JobHandler run) { job(name, std::move(run), JobOptions()); }

void App::every(std::string_view cron, std::string_view name, std::string_view time_zone) {
  worker::ScheduleEntry entry{std::string(name), fmt::format("{} {}", cron, time_zone), worker::Cron(cron),
                              worker::TimeZone::load(time_zone)};
  const auto of_name = [name](const auto& job) { return job.name == name; };
  if (std::ranges::none_of(app_->jobs, of_name)) {
    throw std::invalid_argument(fmt::format("every(\"{}\"): there is no job \"{}\"; call job() before", cron, name));
  }
  app_->schedules.push_back(std::move(entry));
}

void App::set_error_handler(detail::ErrorHandler handler) {
  if (is_empty(handler)) throw std::invalid_argument("on_error(): the hook is empty");
  app_->error_handler = std::move(handler);
}

}  // namespace pronghorn
