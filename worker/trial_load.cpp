#include <uv.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "common/ipc/channel.h"
#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "common/log.h"
#include "worker/exchange/logging/access_log.h"
#include "worker/process/child_programs.h"
#include "worker/routing/served_app.h"
#include "worker/run_worker.h"
#include "worker/runtime/plugin_loader.h"

namespace pronghorn::worker {
namespace {

// Without running static destructors: those of the application may crash or hang, and say nothing about whether it
// loads.
[[noreturn]] void leave(int status) {
  std::fflush(nullptr);
  std::_Exit(status);
}

void tell(MessageKind verdict, const std::string& reason, std::uint64_t number = 0) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  {
    Channel channel(&loop, kChannelFd, {[](const ChannelMessage&, int) {}, [] {}});
    channel.send({verdict, number, reason});
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
}

// Opens the logs as a worker does.
void open_logs(const Config& config) {
  try {
    open_log({config.log_format, config.log_level, config.log_file, "check-app"});
    const AccessLog access_log(config);
  } catch (const std::exception& error) {
    tell(MessageKind::failed, std::string(error.what()) + "; name a file that can be written", kLogsFailed);
    leave(kExitCannotStart);
  }
}

}  // namespace

void check_app(void (*setup)(App&)) {
  keep_descriptors_from_children();
  const Handover handover = read_handover();
  const auto row = std::make_unique<WorkerRow>();  // not in the scoreboard: this process does not serve
  open_logs(handover.config);
  try {
    const ServedApp application(handover.config, *row,
                                setup != nullptr ? setup : load_plugin(handover.config.app, handover.config.app_file));
    tell(MessageKind::ready, {});  // the status alone would not do: the application may have called exit(0)
    leave(0);
  } catch (const std::exception& error) {
    tell(MessageKind::failed, error.what());
  } catch (...) {
    tell(MessageKind::failed, "the setup function threw an object that is not a std::exception");
  }
  leave(kExitCannotStart);
}

}  // namespace pronghorn::worker
