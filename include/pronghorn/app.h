// The application: routes, middleware and hooks. Filled by the setup function, once per worker, before it accepts.
//
// Routes: a path is literal text with whole segments "{name}" (one non-empty segment) and, last, "{name...}" (the rest
// of the path, possibly empty). A literal segment beats "{name}", which beats "{name...}". A GET route answers HEAD
// too; OPTIONS is answered from the methods of the path unless a route for it exists (a CORS preflight with the After
// middleware of the route that it asks about).
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "pronghorn/detail/export.h"
#include "pronghorn/limit.h"
#include "pronghorn/redis.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"

namespace pronghorn {

class Worker;

// A plain handler answers at once and allocates nothing that it does not ask for. A coroutine handler may wait.
using PlainHandler = std::function<Response(Request&)>;
using CoroutineHandler = std::function<Task<Response>(Request&)>;
using Handler = std::variant<PlainHandler, CoroutineHandler>;

// What follows in the chain of middleware: the next one, at last the handler. Call it once at most. What the handler
// throws comes out of it as an exception.
class PRONGHORN_API Next {
 public:
  explicit Next(std::function<Task<Response>(Request&)> chain) : chain_(std::move(chain)) {}
  [[nodiscard]] Task<Response> operator()(Request& request) const { return chain_(request); }

 private:
  std::function<Task<Response>(Request&)> chain_;
};

// The four forms of middleware, told apart by their signature:
using Guard = std::function<std::optional<Response>(Request&)>;  // a Response ends the chain
using CoroutineGuard = std::function<Task<std::optional<Response>>(Request&)>;
using Wrap = std::function<Task<Response>(Request&, Next)>;  // around what follows
using After = std::function<void(Request&, Response&)>;      // changes every response, errors too
using Middleware = std::variant<Guard, CoroutineGuard, Wrap, After>;

namespace detail {

template <class F>
concept IsPlainHandler = std::is_invocable_r_v<Response, F&, Request&>;
template <class F>
concept IsCoroutineHandler =
    std::is_invocable_v<F&, Request&> && std::same_as<std::invoke_result_t<F&, Request&>, Task<Response>>;

template <class F>
Handler make_handler(F function) {
  static_assert(IsPlainHandler<F> || IsCoroutineHandler<F>,
                "a handler is Response(Request&) or Task<Response>(Request&)");
  if constexpr (IsCoroutineHandler<F>) {
    return CoroutineHandler(std::move(function));
  } else {
    return PlainHandler(std::move(function));
  }
}

template <class F, class R, class... Args>
concept Returns = std::is_invocable_v<F&, Args...> && std::same_as<std::invoke_result_t<F&, Args...>, R>;

template <class F>
Middleware make_middleware(F function) {
  if constexpr (std::same_as<F, Middleware>) {
    return function;
  } else if constexpr (Returns<F, Task<Response>, Request&, Next>) {
    return Wrap(std::move(function));
  } else if constexpr (Returns<F, std::optional<Response>, Request&>) {
    return Guard(std::move(function));
  } else if constexpr (Returns<F, Task<std::optional<Response>>, Request&>) {
    return CoroutineGuard(std::move(function));
  } else {
    static_assert(Returns<F, void, Request&, Response&>,
                  "middleware is optional<Response>(Request&), Task<optional<Response>>(Request&), "
                  "Task<Response>(Request&, Next) or void(Request&, Response&)");
    return After(std::move(function));
  }
}

struct RouteEntry;  // one route with its options
struct GroupEntry;  // a prefix and its middleware
struct AppState;    // everything the setup function said

}  // namespace detail

// The options of one route, chained where it is added. Valid while the setup function runs.
class PRONGHORN_API Route {
 public:
  explicit Route(detail::RouteEntry& entry) noexcept : entry_(&entry) {}

  // Refuses (429) what is over the limit. Several limits: all must allow; checked in order.
  Route& limit(Limit limit);
  // How long the handler may take before the client gets 504. Default: option request_timeout. Zero: no limit.
  Route& deadline(std::chrono::milliseconds limit);
  // The largest request body in bytes (413 above). Default: option max_body, 1 MiB. Zero: no limit.
  Route& max_body(std::uint64_t bytes);
  // A name for logs and metrics instead of "GET /path".
  Route& name(std::string_view name);

 private:
  detail::RouteEntry* entry_;
};

// How serve_files() serves a folder.
struct FilesOptions {
  std::string cache_control = {};  // of Cache-Control, as in "public, max-age=3600"; empty: the field is not sent
  bool dotfiles = false;           // whether names that begin with a dot are served too
};

// Routes under a common prefix, with middleware of their own that runs after that of the enclosing groups. Copies mean
// the same group. Valid while the setup function runs. A path or method that can not be, or is there already, throws
// std::invalid_argument, which ends the start.
class PRONGHORN_API Group {
 public:
  Group(detail::AppState& app, detail::GroupEntry& entry) noexcept : app_(&app), entry_(&entry) {}

  template <class F>
  Route get(std::string_view path, F handler) {
    return route("GET", path, std::move(handler));
  }
  template <class F>
  Route post(std::string_view path, F handler) {
    return route("POST", path, std::move(handler));
  }
  template <class F>
  Route put(std::string_view path, F handler) {
    return route("PUT", path, std::move(handler));
  }
  template <class F>
  Route patch(std::string_view path, F handler) {
    return route("PATCH", path, std::move(handler));
  }
  // Named del because delete is a keyword.
  template <class F>
  Route del(std::string_view path, F handler) {
    return route("DELETE", path, std::move(handler));
  }
  template <class F>
  Route route(std::string_view method, std::string_view path, F handler) {
    return add_route(method, path, detail::make_handler(std::move(handler)));
  }

  // Adds middleware for every route of this group, whether added before or after this call.
  template <class F>
  void use(F middleware) {
    add_middleware(detail::make_middleware(std::move(middleware)));
  }

  [[nodiscard]] Group group(std::string_view prefix);

  // Serves the files below `directory` under `prefix`, GET and HEAD, with ETag, conditional requests and ranges (RFC
  // 9110 sections 13 and 14). What leads out of the folder, and dotfiles, are 404. `index.html` answers for a folder.
  // "a.js.br" and "a.js.gz", if they are not older than "a.js", answer for it to clients that accept them. A change
  // shows within a second; replace files by renaming, so that nobody gets half of one. A relative directory starts at
  // the server's working directory; one that does not exist throws std::invalid_argument.
  void serve_files(std::string_view prefix, const std::string& directory, const FilesOptions& options = {});

 protected:
  Route add_route(std::string_view method, std::string_view path, Handler handler);
  void add_middleware(Middleware middleware);

  detail::AppState* app_;
  detail::GroupEntry* entry_;
};

// The [app] table of the configuration file: the application's own settings. Values are given as text.
class PRONGHORN_API Settings {
 public:
  explicit Settings(const detail::AppState& app) noexcept : app_(&app) {}
  [[nodiscard]] std::optional<std::string> get(std::string_view key) const;

 private:
  const detail::AppState* app_;
};

// What hooks may use of the worker they run in.
class PRONGHORN_API Worker {
 public:
  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  virtual ~Worker() = default;
  [[nodiscard]] virtual unsigned slot() const noexcept = 0;        // 0 .. number of workers - 1
  [[nodiscard]] virtual unsigned generation() const noexcept = 0;  // 1, then one more per rollout
  // Throws std::logic_error when the server runs with --redis none.
  [[nodiscard]] virtual Redis redis() = 0;
};

// Turns what escaped a handler into a response; called instead of the built-in problem+json answer.
using ErrorHandler = std::function<Response(Request&, std::exception_ptr)>;

class PRONGHORN_API App : public Group {
 public:
  explicit App(detail::AppState& state) noexcept;  // for the loader and TestClient
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  [[nodiscard]] Settings settings() const noexcept { return Settings(*app_); }
  // The folder of the application's file, absolute: of the plugin as the command line names it, or of the program that
  // has the application in it. What is shipped with the application is found from there. A worker may have loaded a
  // copy of the plugin from elsewhere, so dladdr() does not tell.
  [[nodiscard]] const std::string& folder() const noexcept;

  // Runs in each worker before it accepts; the worker is ready when all have ended. A hook that throws ends the worker:
  // it counts as an application that cannot start. Limit: option boot_timeout.
  void on_start(std::function<Task<void>(Worker&)> hook);
  // Runs in each worker when its last request has ended, in reverse order, within drain_timeout. What it throws is
  // logged.
  void on_stop(std::function<Task<void>(Worker&)> hook);
  void on_error(ErrorHandler handler);
};

}  // namespace pronghorn
