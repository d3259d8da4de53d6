// A shop: accounts, a catalogue, orders. It keeps everything in Redis, so any worker on any machine serves any request,
// and a worker that is killed loses nothing.
//
//   pronghorn serve build/examples/shop.so
//
// Keys of its own: shop:passwords, shop:{product:ID} with its orders in shop:{product:ID}:orders, shop:outbox.
#pragma once

#include <pronghorn/pronghorn.h>

#include <algorithm>
#include <string>

namespace shop {

void setup(pronghorn::App& app);  // shop.cpp

// Each adds the routes of one subject. Context: the setup function.
void add_accounts(pronghorn::App& app, const pronghorn::Tokens& tokens);   // accounts.cpp
void add_catalogue(pronghorn::App& app, const pronghorn::Tokens& tokens);  // catalogue.cpp
void add_orders(pronghorn::App& app, const pronghorn::Tokens& tokens);     // orders.cpp

// The braces keep all keys of a product on one node of a Redis Cluster. Throws HttpError 404 for what cannot be an id.
inline std::string product_key(const std::string& id) {
  const bool visible = std::ranges::all_of(id, [](char c) { return c > ' ' && c <= '~'; });
  if (!visible || id.empty() || id.size() > 64) throw pronghorn::not_found("there is no such product");
  return "shop:{product:" + id + "}";
}

// Who is logged in. Throws HttpError 401 if nobody is.
pronghorn::Task<std::string> require_user(pronghorn::Request& request);

}  // namespace shop
