#include "pronghorn/app.h"

#include <fmt/format.h>

#include <stdexcept>

#include "worker/files/files.h"
#include "worker/routing/app_state.h"

namespace pronghorn {

namespace {

bool is_empty(const auto& one_of_several_functions) {
  return std::visit([](const auto& function) { return !function; }, one_of_several_functions);
}

}  // namespace

Route& Route::limit(Limit limit) {
  if (limit.count == 0 || limit.window.count() <= 0) {
    throw std::invalid_argument(
        fmt::format("route \"{}\": a limit needs a count and a window above zero, not {} per {} ms", entry_->name,
                    limit.count, limit.window.count()));
  }
  entry_->limits.push_back(std::move(limit));
  return *this;
}

Route& Route::deadline(std::chrono::milliseconds limit) {
  if (limit.count() < 0) {
    throw std::invalid_argument(fmt::format("route \"{}\": a deadline can not be negative", entry_->name));
  }
  entry_->deadline = limit;
  return *this;
}

Route& Route::max_body(std::uint64_t bytes) {
  entry_->max_body = bytes;
  return *this;
}

Route& Route::name(std::string_view name) {
  if (name.empty()) throw std::invalid_argument(fmt::format("route \"{}\": a name can not be empty", entry_->name));
  entry_->name = name;
  return *this;
}

Group Group::group(std::string_view prefix) {
  if (!prefix.empty() && (prefix.front() != '/' || prefix.back() == '/')) {
    throw std::invalid_argument(
        fmt::format("group \"{}\": a prefix begins with '/' and does not end with one", prefix));
  }
  return {*app_, app_->groups.emplace_back(detail::GroupEntry{entry_->prefix + std::string(prefix), entry_, {}})};
}

Route Group::add_route(std::string_view method, std::string_view path, Handler handler) {
  detail::RouteEntry entry;
  entry.method = method;
  entry.path = entry_->prefix + std::string(path);
  entry.name = entry.method + " " + entry.path;
  entry.group = entry_;
  if (is_empty(handler)) throw std::invalid_argument(fmt::format("route \"{}\": its handler is empty", entry.name));
  entry.handler = std::move(handler);
  app_->router.add(entry.method, entry.path, static_cast<std::uint32_t>(app_->routes.size()));
  return Route(app_->routes.emplace_back(std::move(entry)));
}

void Group::add_middleware(Middleware middleware) {
  if (is_empty(middleware)) throw std::invalid_argument("use(): the middleware is empty");
  entry_->middleware.push_back(std::move(middleware));
}

void Group::serve_files(std::string_view prefix, const std::string& directory, const FilesOptions& options) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  // Shared by the copies of the handler, and dies with them.
  const auto files = std::make_shared<worker::FileServer>(directory, options);
  get(std::string(prefix) + "/{path...}", [files](Request& request) { return files->serve(request); });
  if (!prefix.empty() || !entry_->prefix.empty()) {
    get(prefix, [](Request& request) { return worker::FileServer::redirect_to_folder(request); });
  }
}

const std::string& App::folder() const noexcept { return app_->folder; }

std::optional<std::string> Settings::get(std::string_view key) const {
  const auto found = app_->settings.find(key);
  if (found == app_->settings.end()) return std::nullopt;
  return found->second;
}

App::App(detail::AppState& state) noexcept : Group(state, state.groups.front()) {}

void App::on_start(std::function<Task<void>(Worker&)> hook) {
  if (!hook) throw std::invalid_argument("on_start(): the hook is empty");
  app_->start_hooks.push_back(std::move(hook));
}

void App::on_stop(std::function<Task<void>(Worker&)> hook) {
  if (!hook) throw std::invalid_argument("on_stop(): the hook is empty");
  app_->stop_hooks.push_back(std::move(hook));
}

void App::on_error(ErrorHandler handler) { app_->error_handler = std::move(handler); }

}  // namespace pronghorn
