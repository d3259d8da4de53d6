// A WebSocket that sends back what it gets.
#include <pronghorn/websocket.h>

#include "demo.h"

namespace demo {

using namespace pronghorn;

namespace {

// Need not wait for the client: the server reads no further message of one that takes its answers too slowly.
void send_back(WebSocket& socket, Message message) {
  if (message.is_text()) {
    socket.send(message.text());
  } else {
    socket.send_binary(message.bytes());
  }
}

}  // namespace

void add_echo_socket(App& app) { app.websocket("/echo/socket", {.message = send_back}).max_message(1_MiB); }

}  // namespace demo
