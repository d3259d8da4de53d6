// The application: routes, middleware, state and hooks. The setup function fills it, once per worker process, before
// the worker accepts connections.
//
// Paths: literal text, with whole segments "{name}" (one non-empty segment) and, last, "{name...}" (the rest of the
// path, possibly empty). A literal segment is preferred to "{name}", which is preferred to "{name...}". A trailing
// slash is significant. A GET route answers HEAD too. OPTIONS is answered from the methods of the path unless it has a
// route of its own, to whose answer the server adds Allow; a CORS preflight runs the after middleware of the route that
// it asks about, any other OPTIONS that of one of the path's routes. If the path has routes but none for the method,
// the client gets 405 with Allow, after the after middleware of one of them; for an unknown path, 404, after that of
// the innermost group whose prefix it begins with.
//
// A request passes through, in this order: the route's limits in the order of their calls; middleware of the
// application, of each enclosing group from the outside in, and of the route, each in the order of use(); the check of
// an Idempotency-Key, if the route is idempotent(), or the cache, if it is cached(); the handler; the session, whose
// changes are written; after middleware in reverse order, so that the one used first sees what is really sent. An
// exception skips the rest up to the handler's end and becomes an error response (on_error), which passes through the
// after middleware. If after middleware throws, a plain 500 replaces the response, and the rest of it still runs.
//
// Mistakes in the setup function (an invalid or duplicate path, an empty function, a limit of zero) throw
// std::invalid_argument. An exception that escapes setup is logged and ends the worker; if no worker ever becomes
// ready, the server exits with status 3.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "pronghorn/detail/callable.h"
#include "pronghorn/detail/export.h"
#include "pronghorn/handler.h"
#include "pronghorn/limit.h"
#include "pronghorn/priority.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "pronghorn/worker.h"

namespace pronghorn {

class EventHandler;
class JobHandler;
class WebSocketRoute;
struct CachedOptions;
struct JobOptions;
struct WebSocketHandlers;

namespace detail {

struct RouteEntry;  // one route with its options
struct GroupEntry;  // a prefix and its middleware
struct AppState;    // everything that the setup function has added

// Makes an object of the application's; the caller owns it.
using StateMaker = std::function<Task<void*>(Worker&)>;

// Whether F returns a T (of a type that perhaps can neither be copied nor moved), or something that a T is made from.
template <class F, class T, class... Args>
concept Makes = Returns<F, T, Args...> ||
                (std::is_invocable_v<F&, Args...> && std::is_constructible_v<T, std::invoke_result_t<F&, Args...>>);

template <class T, class F>
StateMaker make_state_maker(F make) {
  static_assert(check_kept_callable<F>());
  if (is_empty_callable(make)) return {};
  if constexpr (Returns<F, Task<T>, Worker&>) {
    return [make = std::move(make)](Worker& worker) mutable -> Task<void*> {
      auto value = co_await make(worker);
      co_return new T(std::move(value));
    };
  } else if constexpr (Returns<F, Task<T>>) {
    return [make = std::move(make)](Worker&) mutable -> Task<void*> {
      auto value = co_await make();
      co_return new T(std::move(value));
    };
  } else if constexpr (Makes<F, T, Worker&>) {
    return [make = std::move(make)](Worker& worker) mutable -> Task<void*> { co_return new T(make(worker)); };
  } else if constexpr (Makes<F, T>) {
    return [make = std::move(make)](Worker&) mutable -> Task<void*> { co_return new T(make()); };
  } else {
    static_assert(kNever<F>, "state<T>() takes a function that returns T or Task<T>, from a Worker& or from nothing");
    return {};
  }
}

}  // namespace detail

// How an idempotent() route treats the field Idempotency-Key.
struct IdempotentOptions {
  bool required = false;  // whether a request without a key is answered 400; otherwise its handler runs unprotected
  // How long a key is remembered with its response: as long as clients may repeat a request. At most 366 days.
  std::chrono::milliseconds keep = std::chrono::hours(24);
  // Whom a key belongs to, such as the id of the user: requests for which this differs never share a key. Empty: the
  // credentials of the request: Authorization, session cookies, the user of a token in a cookie (require_token()), and
  // the certificate. Set it if they may be new in the second of two attempts, which would then be another client's.
  std::function<std::string(Request&)> scope = {};
};

// The options of one route, chained where it is added: app.get("/a", handler).limit(...).max_body(4_KiB). If an option
// is set twice, the last call wins; limit() and use() accumulate. Valid while the setup function runs. Copies refer to
// the same route.
class PRONGHORN_API Route {
 public:
  explicit Route(detail::RouteEntry& entry) noexcept : entry_(&entry) {}  // for Group

  // Answers 429 to requests above the limit. All limits of a route must allow a request; if one refuses it, it counts
  // for none. Throws std::invalid_argument for a count or window of zero, and if a concurrency limit is leased().
  Route limit(Limit limit);
  // How long limits, middleware and handler may take together; then the handler is destroyed and the client gets 504.
  // Default: option request_timeout. Zero: no limit. Throws std::invalid_argument if negative.
  Route deadline(std::chrono::milliseconds limit);
  // The largest request body in bytes; a larger one is answered 413. Default: option max_body (1 MiB). Zero: no limit.
  Route max_body(std::uint64_t bytes);
  // Lets clients repeat a request safely by giving it a key (draft-ietf-httpapi-idempotency-key-header): a string of 1
  // to 255 visible characters, quoted or not. The handler finishes once per key; its response is kept in Redis and sent
  // to later requests with the key, with "Idempotency-Replayed: true". A request whose key is in use gets 409 with
  // Retry-After; one that differs from the first in target, Content-Type or body gets 422; a malformed or missing key
  // 400; and if Redis is down, 503 without running the handler. Keys of different routes or scopes are independent.
  //
  // Middleware runs for every request, replayed ones too. Not kept, so that the client can try again: what a handler
  // throws, and responses with 408, 425, 429 or 5xx. Streams, files and bodies above 256 KiB cannot be kept: the first
  // client gets them, repetitions get 409. Set-Cookie is never kept. The body is read whole, up to max_body, before the
  // handler runs.
  //
  // If the worker dies, its keys are released immediately, and a request whose connection another worker takes over
  // runs again under its key (docs/survival.md). The handler then starts from its beginning, so what it does outside
  // this server must tolerate being done twice.
  //
  // For POST and PATCH: the other methods may be repeated anyway. Throws std::invalid_argument for any other method,
  // and if `keep` is not above zero and at most 366 days.
  Route idempotent(IdempotentOptions options = {});
  // Keeps whole responses in the cache by the rules of RFC 9111: see pronghorn/cache.h. Throws std::invalid_argument
  // for any method but GET, and for an option out of range.
  Route cached(const CachedOptions& options);
  // What is refused first when the worker is overloaded. Default: Priority::normal. See docs/overload.md.
  Route priority(Priority priority);
  // Replaces "GET /path" as the route's name in logs and metrics. Throws std::invalid_argument if empty.
  Route name(std::string_view name);
  // Adds middleware for this route alone; it runs after that of the groups.
  Route use(Middleware middleware);

 private:
  detail::RouteEntry* entry_;
};

// How serve_files() serves a folder.
struct FilesOptions {
  std::string cache_control = {};  // value of Cache-Control, such as "public, max-age=3600"; empty: not sent
  bool dotfiles = false;           // whether names that begin with a dot are served
};

// Routes under a common prefix, with middleware of their own. Copies refer to the same group. Valid while the setup
// function runs.
class PRONGHORN_API Group {
 public:
  Group(detail::AppState& app, detail::GroupEntry& entry) noexcept : app_(&app), entry_(&entry) {}  // for App

  // Add a route; its path is the group's prefix followed by `path`. `handler` is Response(Request&) or
  // Task<Response>(Request&). Throws std::invalid_argument if the path or the method is invalid, if the path already
  // has a route for the method, or if the handler is empty.
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
  // DELETE; `delete` is a keyword.
  template <class F>
  Route del(std::string_view path, F handler) {
    return route("DELETE", path, std::move(handler));
  }
  template <class F>
  Route route(std::string_view method, std::string_view path, F handler) {
    return add_route(method, path, detail::make_handler(std::move(handler)));
  }

  // Adds a WebSocket route: see pronghorn/websocket.h. Throws as get() does. A handler that is left out does nothing.
  WebSocketRoute websocket(std::string_view path, WebSocketHandlers handlers);

  // Adds middleware for every route of this group and of the groups in it, whether added before or after this call.
  // Throws std::invalid_argument if it is empty.
  void use(Middleware middleware);

  // A group inside this one: its prefix is appended, its middleware runs after this one's. `prefix` begins with '/' and
  // does not end with one; "" and "/" are the group itself with further middleware. Two groups may have the same
  // prefix.
  [[nodiscard]] Group group(std::string_view prefix);

  // Serves the files of `directory` below `prefix`: GET and HEAD with ETag, conditional requests (RFC 9110 section 13)
  // and ranges. `name.br` and `name.gz` answer for `name` to clients that accept them, index.html for a folder.
  // Paths that leave the directory, also through symbolic links, are 404. `directory` may be relative to the server's
  // working directory. Throws std::invalid_argument if the directory does not exist.
  void serve_files(std::string_view prefix, const std::string& directory, const FilesOptions& options = {});

 protected:
  Route add_route(std::string_view method, std::string_view path, detail::Handler handler);

  detail::AppState* app_;
  detail::GroupEntry* entry_;
};

// What the setup function fills: the group of all routes, with the application's settings, state, hooks and jobs. Valid
// while the setup function runs, so handlers and hooks must not capture it.
class PRONGHORN_API App : public Group {
 public:
  // The [app] table of the configuration file: the application's own settings.
  class PRONGHORN_API Settings {
   public:
    explicit Settings(const detail::AppState& app) noexcept : app_(&app) {}
    // The value of `key` as text; nullopt if the table does not have it.
    [[nodiscard]] std::optional<std::string> get(std::string_view key) const;

   private:
    const detail::AppState* app_;
  };

  explicit App(detail::AppState& state) noexcept;  // for the server
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Copy what handlers need of it: it is valid as long as the App.
  [[nodiscard]] Settings settings() const noexcept { return Settings(*app_); }
  // The absolute folder of the application's file: of the plugin as the command line names it, or of the program that
  // contains the application. Use it to find files that ship with it; dladdr() may name a copy of the plugin.
  [[nodiscard]] const std::string& folder() const noexcept;

  // Gives the application an object of type T per worker process, in place of a global variable. `make` returns T or
  // Task<T> from a Worker& or from nothing. Without it T is default-constructed. Handlers, middleware and hooks get the
  // object from request.state<T>() or worker.state<T>().
  //
  // Lifetime: made before the first on_start hook, in the order of these calls, so that `make` may use the state of
  // earlier ones; destroyed in reverse order after the last on_stop hook, when no handler or background task is left.
  // State is neither shared between workers nor kept when a worker is replaced: keep what has to last in Redis. If
  // `make` throws, the worker fails to start. Throws std::invalid_argument for a second state of the same type.
  template <class T, class F>
  void state(F make) {
    add_state(typeid(T), detail::make_state_maker<T>(std::move(make)),
              [](void* object) noexcept { delete static_cast<T*>(object); });
  }
  template <class T>
  void state() {
    state<T>([] { return T(); });
  }

  // Hooks: void(Worker&) or Task<void>(Worker&), or the same without the parameter. Several hooks run one after the
  // other. Throw std::invalid_argument for an empty function.
  //
  // on_start runs in each worker before it accepts connections, in the order of the calls; the worker is ready when all
  // have finished. A hook that throws ends the worker. Limit: option boot_timeout.
  template <class F>
  void on_start(F hook) {
    add_start_hook(detail::make_hook(std::move(hook)));
  }
  // on_drain runs when a worker begins to drain (stop, reload, fewer workers), while it still answers requests, in the
  // order of the calls: tell background work to finish. worker.draining() is true from then on. If a hook throws, this
  // is logged, and the others still run. Limit: the drain waits for it as for a request.
  template <class F>
  void on_drain(F hook) {
    add_drain_hook(detail::make_hook(std::move(hook)));
  }
  // on_stop runs after a draining worker's last request and background task, or after drain_timeout has ended the rest
  // of them, in the reverse order of the calls. If a hook throws, this is logged, and the others still run. Limit: 5 s
  // for all of them together.
  template <class F>
  void on_stop(F hook) {
    add_stop_hook(detail::make_hook(std::move(hook)));
  }

  // Runs `task`, which has the forms of a hook, periodically in each worker: first `period` after the start, then
  // `period` after the end of each run, so runs never overlap. If it throws, this is logged, and the next run still
  // follows. When the worker drains, no new run starts; the drain waits for a run in progress as for a request. For
  // work that must run once per machine, test `worker.slot() == 0`. Throws std::invalid_argument for an empty function
  // or a period below 1 ms.
  template <class F>
  void every(std::chrono::milliseconds period, F task) {
    add_periodic_task(period, detail::make_hook(std::move(task)));
  }

  // Calls `handler` in every worker for each event that is published to a topic that matches `pattern`: see
  // pronghorn/topics.h.
  void on_event(std::string_view pattern, EventHandler handler);

  // Declares the job `name`, which `run` carries out: see pronghorn/jobs.h. Throws std::invalid_argument for an invalid
  // or duplicate name, and for options out of range.
  void job(std::string_view name, JobHandler run, const JobOptions& options);
  void job(std::string_view name, JobHandler run);
  // Enqueues the job `name` at each tick of a cron expression, once over all workers and machines: see
  // pronghorn/jobs.h. Throws std::invalid_argument for an expression that is malformed or never fires, and for an
  // unknown job or time zone.
  void every(std::string_view cron, std::string_view name, std::string_view time_zone = "UTC");

  // Produces the response to every error that the server would otherwise answer itself with problem details: exceptions
  // that escape a handler, 404, 405, 413, 504, refusals by limits (429, 503), Redis being down (503), malformed or slow
  // requests (400, 408, 414, 431), a full server and quarantined requests (503). Not called for the 503 of an
  // overloaded worker, nor for a request whose worker died (500, 503: docs/survival.md).
  //
  // The hook is Response(Request&, const ErrorAnswer&), or takes a std::exception_ptr in place of the ErrorAnswer, and
  // may return a Task. For a refused request it must end within a second, else the client gets 504. If a request's head
  // is malformed, its method, path or fields may be empty. Unless the hook changes the status, the server adds the
  // fields of the ErrorAnswer that its response lacks, such as Retry-After. If the hook throws, the client gets a plain
  // 500. A later call replaces the hook.
  template <class F>
  void on_error(F hook) {
    set_error_handler(detail::make_error_handler(std::move(hook)));
  }

 private:
  void add_state(const std::type_info& type, detail::StateMaker make, void (*destroy)(void*) noexcept);
  void add_start_hook(detail::Hook hook);
  void add_drain_hook(detail::Hook hook);
  void add_stop_hook(detail::Hook hook);
  void add_periodic_task(std::chrono::milliseconds period, detail::Hook task);
  void set_error_handler(detail::ErrorHandler handler);
};

}  // namespace pronghorn
