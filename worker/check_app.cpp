#include <uv.h>

#include <exception>
#include <memory>
#include <string>

#include "common/ipc/channel.h"
#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "common/log.h"
#include "worker/http/access_log.h"
#include "worker/routing/application.h"
#include "worker/runtime/plugin_loader.h"
#include "worker/worker_process.h"

namespace pronghorn::worker {
namespace {

constexpr int kExitCannotStart = 3;

void tell(const std::string& reason) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  {
    Channel channel(&loop, kChannelFd, {[](const Message&, int) {}, [] {}});
    channel.send({MessageKind::failed, 0, reason});
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
}

}  // namespace

int check_app(void (*setup)(App&)) {
  const Handover handover = read_handover();
  const auto row = std::make_unique<WorkerRow>();  // not in the scoreboard: this process serves nobody
  try {
    open_log({handover.config.log_format, handover.config.log_level, handover.config.log_file, "check-app"});
    const AccessLog access_log(handover.config);  // can it be written?
    const Application application(
        handover.config, *row, setup != nullptr ? setup : load_plugin(handover.config.app, handover.config.app_file));
    return 0;
  } catch (const std::exception& error) {
    tell(error.what());
  } catch (...) {
    tell("the setup function threw something that is no std::exception");
  }
  return kExitCannotStart;
}

}  // namespace pronghorn::worker
