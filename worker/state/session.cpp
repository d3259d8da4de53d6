// Implements pronghorn/session.h and Request::session().
#include "pronghorn/session.h"

#include <chrono>
#include <utility>

#include "pronghorn/error.h"
#include "pronghorn/request.h"
#include "pronghorn/worker.h"
#include "worker/exchange/exchange.h"
#include "worker/state/sessions/session_state.h"
#include "worker/state/sessions/session_store.h"
#include "worker/state/state_services.h"

namespace pronghorn {

Task<Session> Request::session() {
  worker::Exchange& exchange = exchange_;
  if (!exchange.session) {
    if (exchange.state == nullptr) throw HttpError(503, "sessions need Redis");
    std::shared_ptr<worker::SessionState> loaded = co_await exchange.state->sessions.load(exchange);
    // A concurrent branch of the handler may have loaded it first: a request has one session.
    if (!exchange.session) exchange.session = std::move(loaded);
  }
  co_return Session(exchange.session);
}

std::optional<std::string> Session::get(std::string_view name) const { return state_->get(name); }

bool Session::has(std::string_view name) const { return state_->get(name).has_value(); }

void Session::set(std::string_view name, std::string_view value) { state_->stage(name, std::string(value)); }

void Session::erase(std::string_view name) { state_->stage(name, std::nullopt); }

Task<std::int64_t> Session::increment(std::string_view name, std::int64_t by) {
  return state_->store.increment(state_, std::string(name), by);
}

void Session::flash(std::string_view name, std::string_view value) { state_->flash(name, value); }

std::optional<std::string> Session::flash(std::string_view name) const { return state_->flash(name); }

void Session::login(std::string_view user) { state_->login(user); }

std::optional<std::string> Session::user() const { return state_->user(); }

Task<void> Session::destroy_all() {
  const std::shared_ptr<worker::SessionState> state = state_;
  const std::optional<std::string> user = state->user();
  if (user) co_await state->store.end_all(*user);
  state->destroy();
  state->begun = std::chrono::steady_clock::now();
}

Task<void> end_sessions(Worker& where, std::string user) {
  return static_cast<worker::StateServices&>(where.services()).sessions.end_all(std::move(user));
}

void Session::rotate() { state_->rotate(); }

void Session::destroy() { state_->destroy(); }

bool Session::is_new() const noexcept { return state_->is_new(); }

}  // namespace pronghorn
