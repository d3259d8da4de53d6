// The same server on uWebSockets, which is neither in Debian nor on npm: see docs/performance.md for how to build it.
#include <cstdio>
#include <cstdlib>

#include "App.h"

struct Client {
  bool mute = false;
};

int main(int, char** words) {
  uWS::App app;
  app.ws<Client>("/echo/socket", {.compression = uWS::DISABLED,
                                  .maxPayloadLength = 1024 * 1024,
                                  .idleTimeout = 120,
                                  .message = [](auto* socket, std::string_view message, uWS::OpCode code) {
                                    socket->send(message, code);
                                  }});
  app.ws<Client>(
      "/topic",
      {.compression = uWS::DISABLED,
       .idleTimeout = 120,
       .upgrade =
           [](auto* response, auto* request, auto* context) {
             response->template upgrade<Client>(
                 {!request->getQuery("mute").empty()}, request->getHeader("sec-websocket-key"),
                 request->getHeader("sec-websocket-protocol"), request->getHeader("sec-websocket-extensions"), context);
           },
       .open =
           [](auto* socket) {
             if (!socket->getUserData()->mute) socket->subscribe("topic");
           },
       .message = [&app](auto*, std::string_view message, uWS::OpCode code) { app.publish("topic", message, code); }});
  app.get("/", [](auto* response, auto*) { response->end("Hello, World!"); });
  app.listen("127.0.0.1", std::atoi(words[1]), [](auto* listening) {
    if (listening == nullptr) std::exit(1);
  });
  app.run();
}
