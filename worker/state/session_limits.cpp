// Implements the rate limits of pronghorn/limit.h that count by session and user.
#include "pronghorn/limit.h"
#include "pronghorn/session.h"
#include "worker/exchange/exchange.h"
#include "worker/state/keys/digest.h"
#include "worker/state/limits/limit_key.h"
#include "worker/state/sessions/session_state.h"

namespace pronghorn {
namespace {

// Whoever sees the keys of limits must not learn the id of a session.
Task<std::string> session_key(Request& request) {
  (void)co_await request.session();
  const auto& state = request.exchange().session;
  co_return state->stored ? "#s" + worker::sha256_hex(state->id) : worker::client_key(request);
}

Task<std::string> user_key(Request& request) {
  const Session session = co_await request.session();
  const std::optional<std::string> user = session.user();
  co_return user ? "#u" + *user : worker::client_key(request);
}

}  // namespace

Limit per_session(std::uint32_t count, std::chrono::milliseconds window) { return per_key(count, window, session_key); }

Limit per_user(std::uint32_t count, std::chrono::milliseconds window) { return per_key(count, window, user_key); }

}  // namespace pronghorn
