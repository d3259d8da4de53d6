// error: this function cannot be copied: let it capture a shared_ptr
#include <pronghorn/pronghorn.h>

#include <memory>
using namespace pronghorn;

PRONGHORN_APP(app) {
  auto shop = std::make_unique<std::string>("shop");
  app.job("open", [shop = std::move(shop)](Job&) { log::info(*shop); });
}
