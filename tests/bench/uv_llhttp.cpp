// The lower bound for Pronghorn's components: libuv and llhttp with a fixed response and nothing in between, used as
// efficiently as possible: one read buffer for all connections, one uv_try_write for all requests of a read, a Date
// formatted once per second.
//
//   uv_llhttp PORT
#include <llhttp.h>
#include <uv.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "uv_server.h"

namespace {

constexpr std::string_view kBody = "Hello, World!";
constexpr std::size_t kReadSize = 64 * 1024;

struct Connection {
  uv_tcp_t socket;
  llhttp_t parser;
  bool close_after = false;
};

std::array<char, kReadSize> read_buffer;  // read_cb runs synchronously: one is enough
std::string output;                       // of the read that is being parsed
std::string answer_keep_alive;
std::string answer_close;
llhttp_settings_t parser_settings;

void render_answers() {
  const std::string head = std::string("HTTP/1.1 200 OK\r\nServer: uv_llhttp\r\nDate: ") + http_date() +
                           "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(kBody.size()) + "\r\n";
  answer_keep_alive = head + "\r\n" + std::string(kBody);
  answer_close = head + "Connection: close\r\n\r\n" + std::string(kBody);
}

void close_connection(Connection& connection) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&connection.socket);
  if (uv_is_closing(handle)) return;
  uv_close(handle, [](uv_handle_t* closed) { delete static_cast<Connection*>(closed->data); });
}

int on_message_complete(llhttp_t* parser) noexcept {
  auto& connection = *static_cast<Connection*>(parser->data);
  if (llhttp_should_keep_alive(parser) != 0) {
    output += answer_keep_alive;
    return HPE_OK;
  }
  output += answer_close;
  connection.close_after = true;
  return HPE_PAUSED;
}

// What the socket did not take at once.
struct Rest {
  uv_write_t request;
  std::string bytes;
  bool close_after;
};

void send_output(Connection& connection) {
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection.socket);
  uv_buf_t all = uv_buf_init(output.data(), static_cast<unsigned>(output.size()));
  const int sent = uv_try_write(stream, &all, 1);
  const std::size_t done = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  if (done == output.size() || (sent < 0 && sent != UV_EAGAIN)) {
    if (connection.close_after || sent < 0) close_connection(connection);
    return;
  }
  auto rest = std::make_unique<Rest>(Rest{{}, output.substr(done), connection.close_after});
  rest->request.data = rest.get();
  uv_buf_t buffer = uv_buf_init(rest->bytes.data(), static_cast<unsigned>(rest->bytes.size()));
  const int queued = uv_write(&rest->request, stream, &buffer, 1, [](uv_write_t* request, int) {
    const std::unique_ptr<Rest> written(static_cast<Rest*>(request->data));
    if (written->close_after) close_connection(*static_cast<Connection*>(request->handle->data));
  });
  if (queued != 0) {
    close_connection(connection);
  } else {
    rest.release();  // until it is written
  }
}

void on_read(uv_stream_t* stream, ssize_t got, const uv_buf_t* buffer) noexcept {
  auto& connection = *static_cast<Connection*>(stream->data);
  if (got == 0) return;
  if (got < 0) {
    close_connection(connection);
    return;
  }
  output.clear();
  const llhttp_errno_t error = llhttp_execute(&connection.parser, buffer->base, static_cast<std::size_t>(got));
  if (!output.empty()) send_output(connection);
  if (error != HPE_OK && error != HPE_PAUSED) close_connection(connection);
}

void on_connection(uv_stream_t* listener, int status) noexcept {
  if (status != 0) return;
  auto connection = std::make_unique<Connection>();
  check(uv_tcp_init(listener->loop, &connection->socket), "uv_tcp_init");
  connection->socket.data = connection.get();
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection.release()->socket);
  auto& accepted = *static_cast<Connection*>(stream->data);
  if (uv_accept(listener, stream) != 0) {
    close_connection(accepted);
    return;
  }
  llhttp_init(&accepted.parser, HTTP_REQUEST, &parser_settings);
  accepted.parser.data = &accepted;
  const auto lend_buffer = [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
    *buffer = uv_buf_init(read_buffer.data(), kReadSize);
  };
  if (uv_read_start(stream, lend_buffer, on_read) != 0) close_connection(accepted);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: uv_llhttp PORT\n", stderr);
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  llhttp_settings_init(&parser_settings);
  parser_settings.on_message_complete = on_message_complete;
  output.reserve(kReadSize);
  render_answers();
  return serve(uv_default_loop(), argv[1], on_connection, [](uv_timer_t*) { render_answers(); });
}
