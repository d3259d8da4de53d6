// error: this function cannot be copied: let it capture a shared_ptr
#include <pronghorn/pronghorn.h>

#include <memory>
using namespace pronghorn;

PRONGHORN_APP(app) {
  auto shop = std::make_unique<std::string>("shop");
  app.every(std::chrono::seconds(1), [shop = std::move(shop)] { log::info(*shop); });
}
