// error: GCC 12 destroys this aggregate
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

struct Document {
  std::string text;
};

Task<Response> digest(Request&) {
  const std::size_t size = co_await offload([](const Document& job) { return job.text.size(); }, Document{"text"});
  co_return text(std::to_string(size));
}
