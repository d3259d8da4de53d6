// A shop: accounts, a catalogue, orders. It keeps everything in Redis, so any worker on any machine serves any request,
// and a worker that is killed loses nothing.
//
//   pronghorn serve build/examples/shop.so
//
// Keys of its own: shop:passwords, shop:{product:ID} with its orders in shop:{product:ID}:orders, shop:outbox.
#pragma once

#include <pronghorn/pronghorn.h>

#include <string>

namespace shop {

void setup(pronghorn::App& app);  // shop.cpp

// Each adds the routes of one subject. Context: the setup function.
void add_accounts(pronghorn::App& app, const pronghorn::Tokens& tokens);   // accounts.cpp
void add_catalogue(pronghorn::App& app, const pronghorn::Tokens& tokens);  // catalogue.cpp
void add_orders(pronghorn::App& app, const pronghorn::Tokens& tokens);     // orders.cpp

// The braces keep all keys of a product on one node of a Redis Cluster, so that a script may use them together.
inline std::string product_key(const std::string& id) { return "shop:{product:" + id + "}"; }

// Who is logged in. Throws HttpError 401 if nobody is.
pronghorn::Task<std::string> require_user(pronghorn::Request& request);

}  // namespace shop
