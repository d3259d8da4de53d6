// Sessions are in Redis, so any worker can answer any request of a client.
#include <pronghorn/json.h>
#include <unistd.h>

#include "demo.h"

namespace demo {

using namespace pronghorn;

namespace {

Task<Response> visits(Request& request) {
  Session session = co_await request.session();
  const auto count = co_await session.increment("visits");
  co_return json_response({{"visits", count}, {"slot", request.worker().slot()}, {"pid", ::getpid()}});
}

Task<Response> login(Request& request) {
  const std::string user = co_await submitted_user(request);
  if (user.empty()) throw bad_request("user is missing");
  if (user.size() > 1024) throw bad_request("user is too long");
  Session session = co_await request.session();
  session.login(user);  // with a new id, so that whoever planted the old one does not share the login
  co_return json_response({{"user", user}});
}

Task<Response> me(Request& request) {
  const Session session = co_await request.session();
  const auto user = session.user();
  if (!user) throw unauthorized("nobody is logged in");
  co_return json_response({{"user", *user}});
}

Task<Response> logout(Request& request) {
  Session session = co_await request.session();
  session.destroy();
  co_return no_content();
}

// On all clients of the user.
Task<Response> logout_everywhere(Request& request) {
  Session session = co_await request.session();
  co_await session.destroy_all();
  co_return no_content();
}

}  // namespace

Task<std::string> submitted_user(Request& request) {
  if (request.header("Content-Type").value_or("").starts_with("application/json")) {
    const auto body = co_await json_body(request);
    const auto user = body.is_object() ? body.find("user") : body.end();
    co_return user != body.end() && user->is_string() ? user->get<std::string>() : std::string();
  }
  const Form form = co_await request.form();
  co_return form.get("user").value_or("");
}

void add_session_routes(App& app) {
  app.get("/visits", visits);
  app.post("/login", login).max_body(4_KiB);
  app.get("/me", me);
  app.post("/logout", logout);
  app.post("/logout/everywhere", logout_everywhere);
}

}  // namespace demo
