// Accounts: a session for people with a browser, tokens for programs.
#include <pronghorn/json.h>

#include "shop.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace shop {
namespace {

struct Credentials {
  std::string user;
  std::string password;
};

Task<Credentials> read_credentials(Request& request) {
  const Form form = co_await request.form();
  Credentials read{form.get("user").value_or(""), form.get("password").value_or("")};
  if (read.user.empty() || read.user.size() > 64) throw bad_request("user has 1 to 64 characters");
  try {
    (void)nlohmann::json(read.user).dump();  // as orders and tokens will hold it
  } catch (const nlohmann::json::exception&) {
    throw bad_request("user is not UTF-8");
  }
  co_return read;
}

// Yields the user's name. Throws HttpError 401.
Task<std::string> check_password(Request& request) {
  Credentials read = co_await read_credentials(request);
  const Reply stored = co_await request.redis().command("HGET", "shop:passwords", read.user);
  std::string hash = stored.is_string() ? stored.string() : "";  // "" takes as long as a real one
  const bool matches = co_await verify_password(std::move(read.password), std::move(hash));
  if (!matches) throw unauthorized("user or password is wrong");
  co_return std::move(read.user);
}

Task<Response> sign_up(Request& request) {
  Credentials read = co_await read_credentials(request);
  if (read.password.size() < 8) throw bad_request("a password has at least 8 characters");
  const std::string hash = co_await hash_password(std::move(read.password));
  const Reply added = co_await request.redis().command("HSETNX", "shop:passwords", read.user, hash);
  if (added.integer() == 0) throw conflict("the name is taken");
  co_return no_content();
}

Task<Response> log_in(Request& request) {
  const std::string user = co_await check_password(request);
  Session session = co_await request.session();
  session.login(user);
  session.flash("notice", "Welcome, " + user + "!");
  co_return no_content();
}

Task<Response> show_account(Request& request) {
  const std::string user = co_await require_user(request);
  const Session session = co_await request.session();
  co_return json_response({{"user", user}, {"notice", session.flash("notice").value_or("")}});
}

Task<Response> log_out_everywhere(Request& request) {
  Session session = co_await request.session();
  co_await session.destroy_all();
  co_return no_content();
}

Task<Response> form_token(Request& request) {
  const std::string token = co_await csrf_token(request);
  co_return json_response({{"token", token}}).set("Cache-Control", "no-store");
}

}  // namespace

Task<std::string> require_user(Request& request) {
  const Session session = co_await request.session();
  const auto user = session.user();
  if (!user) throw unauthorized("log in first");
  co_return *user;
}

void add_accounts(App& app, const Tokens& tokens) {
  Group account = app.group("/account");
  account.use(csrf());
  account.get("/form-token", form_token);
  account.post("/sign-up", sign_up).limit(per_client(5, 1min));
  account.post("/login", log_in).limit(per_client(10, 1min).sliding());
  account.get("", show_account);
  account.post("/logout-everywhere", log_out_everywhere);

  app.post("/token",
           [tokens](Request& request) -> Task<Response> {
             const std::string user = co_await check_password(request);
             // Here everybody may do everything. A company's shop looks up what this user may do.
             const TokenPair pair = co_await tokens.issue(request, user, "stock:write orders:read");
             co_return json_response({{"access", pair.access}, {"refresh", pair.refresh}})
                 .set("Cache-Control", "no-store");
           })
      .limit(per_client(10, 1min).sliding());
}

}  // namespace shop
