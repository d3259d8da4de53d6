// Values that are expensive to make: one worker makes each, and all use it.
#include <pronghorn/json.h>
#include <pronghorn/timer.h>
#include <unistd.h>

#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

std::string_view short_param(Request& request, std::string_view name) {
  const std::string_view text = request.param(name);
  if (text.size() > Cache::kMaxKey) throw bad_request("a key or tag has at most 1024 bytes");
  return text;
}

// ?ms= how long making the value takes, ?tag= (any number) what it can be invalidated by
Task<Response> cached(Request& request) {
  const auto takes = asked_time(request, "ms", 50);
  const std::vector<std::string> tags = request.query_all("tag");
  auto make = [takes]() -> Task<std::string> {
    co_await sleep_for(takes);
    std::random_device random;
    const nlohmann::json made{{"value", std::to_string(random()) + std::to_string(random())},
                              {"filled_by", ::getpid()}};
    co_return made.dump();
  };
  std::string value;
  try {
    value = co_await request.cache().get_or_fill(request.param("key"), {.ttl = 10s, .tags = tags}, make);
  } catch (const std::invalid_argument& wrong) {  // a key or tag that is too long, too many tags
    throw bad_request(wrong.what());
  }
  co_return json_text(std::move(value));
}

Task<Response> forget(Request& request) {
  co_await request.cache().invalidate(short_param(request, "key"));
  co_return no_content();
}

Task<Response> forget_tag(Request& request) {
  co_await request.cache().invalidate_tag(short_param(request, "tag"));
  co_return no_content();
}

}  // namespace

void add_cache_routes(App& app) {
  app.get("/cached/{key}", cached).deadline(2 * kLongestTime + 1min);
  app.del("/cached/{key}", forget);
  app.post("/cached/tags/{tag}", forget_tag);
}

}  // namespace demo
