#include "server/commands/redis_check.h"

#include <signal.h>
#include <uv.h>

#include <exception>
#include <memory>

#include "common/ipc/scoreboard.h"
#include "common/log.h"
#include "common/uv_ptr.h"
#include "worker/state/state_services.h"

namespace pronghorn::server {
namespace {

constexpr std::uint64_t kTurnMs = 10;

// Attempts that fail are repeated, because a cluster and sentinels have several addresses.
std::string connect(uv_loop_t* loop, const Config& config) {
  const auto row = std::make_unique<WorkerRow>();
  worker::StateServices state(loop, config, *row);
  std::string refused;
  state.start([&refused](const std::string& reason) { refused = reason; });
  const UvPtr<uv_timer_t> turn = make_uv<uv_timer_t>(loop, uv_timer_init, nullptr);
  uv_timer_start(turn.get(), [](uv_timer_t*) {}, kTurnMs, kTurnMs);
  const std::uint64_t end = monotonic_ms() + 1'000 + 3 * static_cast<std::uint64_t>(config.redis_timeout.count());
  while (!state.redis_up() && refused.empty() && monotonic_ms() < end) uv_run(loop, UV_RUN_ONCE);
  const bool up = state.redis_up();
  state.close();
  if (up || !refused.empty()) return refused;
  const std::string reason = row->redis_error.get();
  return reason.empty() ? "it does not answer" : reason;
}

}  // namespace

std::string check_redis(const Config& config) {
  ::signal(SIGPIPE, SIG_IGN);
  uv_loop_t loop;
  try {
    open_log({.format = "text", .level = "error", .file = "/dev/null", .process = ""});  // the result is one line
    if (const int error = uv_loop_init(&loop); error != 0) return uv_strerror(error);
  } catch (const std::exception& error) {
    return error.what();
  }
  std::string problem;
  try {
    problem = connect(&loop, config);
  } catch (const std::exception& error) {
    problem = error.what();
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return problem;
}

}  // namespace pronghorn::server
