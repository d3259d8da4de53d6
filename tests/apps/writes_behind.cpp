// Values that are saved in the background, once the worker drains: one by POST /write, one by an on_stop hook.
#include <pronghorn/pronghorn.h>

#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<void> write(Worker& worker, std::string key, std::string value) {
  auto save = [&worker, key](const std::string& saved) -> Task<void> {
    while (!worker.draining()) co_await sleep_for(5ms);
    co_await sleep_for(100ms);
    co_await worker.redis().command("SET", "saved:" + key, saved);
  };
  co_await worker.cache().write_behind(key, std::move(value), save);
}

}  // namespace

PRONGHORN_APP(app) {
  app.post("/write", [](Request& request) -> Task<Response> {
    co_await write(request.worker(), "posted", "1");
    co_return no_content();
  });
  app.on_stop([](Worker& worker) -> Task<void> { co_await write(worker, "stopped", "2"); });
}
