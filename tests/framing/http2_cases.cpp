#include "framing/http2_cases.h"

#include <string_view>

namespace pronghorn::test {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// Error codes (RFC 9113 section 7).
constexpr std::uint32_t kProtocolError = 1;
constexpr std::uint32_t kFlowControlError = 3;
constexpr std::uint32_t kStreamClosed = 5;
constexpr std::uint32_t kFrameSizeError = 6;
constexpr std::uint32_t kCompressionError = 9;

enum Type : std::uint8_t {
  kData,
  kHeaders,
  kPriority,
  kRstStream,
  kSettings,
  kPushPromise,
  kPing,
  kGoaway,
  kWindowUpdate,
  kContinuation,
  kPriorityUpdate = 16
};
constexpr std::uint8_t kEndStream = 1;
constexpr std::uint8_t kAck = 1;
constexpr std::uint8_t kEndHeaders = 4;
constexpr std::uint8_t kPadded = 8;

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string made;
  const auto size = static_cast<std::uint32_t>(payload.size());
  for (const int shift : {16, 8, 0}) made += static_cast<char>(size >> shift);
  made += static_cast<char>(type);
  made += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) made += static_cast<char>(stream >> shift);
  return made.append(payload);
}

template <std::size_t N>
std::string bytes(const char (&literal)[N]) {
  return {literal, N - 1};
}

// :method GET, :scheme http, :path /hello, :authority a
const std::string kHello = bytes("\x82\x86\x44\x06/hello\x41\x01") + "a";
// An extended CONNECT for /echo/socket
const std::string kConnect = bytes(
                                 "\x02\x07"
                                 "CONNECT\0\x09:protocol\x09"
                                 "websocket\x86\x04\x0c/echo/socket\x01\x01") +
                             "a";
const std::string kPostEcho = bytes("\x83\x86\x44\x05/echo\x41\x01") + "a";

Fields get(const Fields& more = {}) {
  Fields fields{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/hello"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

Fields post(const Fields& more = {}) {
  Fields fields{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/echo"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

Fields with(const std::string& pseudo, const std::string& value, Fields fields = get()) {
  for (auto& field : fields) {
    if (field.first == pseudo) field.second = value;
  }
  return fields;
}

Fields without(const std::string& pseudo, Fields fields = get()) {
  std::erase_if(fields, [&pseudo](const auto& field) { return field.first == pseudo; });
  return fields;
}

// An extended CONNECT (RFC 8441).
Fields connect(const Fields& more = {}) {
  Fields fields{{":method", "CONNECT"},
                {":protocol", "websocket"},
                {":scheme", "http"},
                {":authority", "a"},
                {":path", "/echo/socket"}};
  fields.insert(fields.end(), more.begin(), more.end());
  fields.emplace_back("sec-websocket-version", "13");
  return fields;
}

}  // namespace

std::vector<Http2RequestCase> http2_request_cases() {
  const auto served = [](std::string name, Fields fields) {
    return Http2RequestCase{.name = std::move(name), .fields = std::move(fields), .body = {}, .status = 200};
  };
  const auto refused = [](std::string name, Fields fields, int status = 400) {
    return Http2RequestCase{.name = std::move(name), .fields = std::move(fields), .body = {}, .status = status};
  };
  const auto reset = [](std::string name, Fields fields, std::optional<std::string> body = {}) {
    return Http2RequestCase{
        .name = std::move(name), .fields = std::move(fields), .body = std::move(body), .error = kProtocolError};
  };
  const auto echoed = [](std::string name, Fields fields, const std::string& body) {
    return Http2RequestCase{
        .name = std::move(name), .fields = std::move(fields), .body = body, .status = 200, .response = body};
  };
  return {
      served("a plain request", get()),
      served("TE: trailers", get({{"te", "trailers"}})),
      served("a Host like :authority", get({{"host", "a"}})),
      served("cookies in crumbs", get({{"cookie", "a=1"}, {"cookie", "b=2"}})),
      served("a field with bytes above 0x7f", get({{"x", "\xc3\xa4"}})),
      served("an empty field", get({{"x", ""}})),
      served("a scheme that is not of the connection", with(":scheme", "https")),
      served("a priority", get({{"priority", "u=1, i"}})),
      served("a malformed priority", get({{"priority", "u=99;;="}})),
      echoed("a body without a length", post(), "abc"),
      echoed("a body with its length", post({{"content-length", "3"}}), "abc"),
      echoed("an empty body", post({{"content-length", "0"}}), ""),

      refused("another Host than :authority", get({{"host", "b"}})),
      refused("user information in :authority", with(":authority", "user@a")),
      refused("a fragment in :path", with(":path", "/a#b")),
      refused("CONNECT", {{":method", "CONNECT"}, {":authority", "a:80"}}, 501),
      refused("CONNECT for another protocol than WebSocket", with(":protocol", "connect-udp", connect()), 501),
      refused("CONNECT for a WebSocket on a route that has none", with(":path", "/hello", connect()), 405),
      refused("CONNECT for a WebSocket on an endpoint of the server", with(":path", "/health", connect()), 405),
      refused("CONNECT for a WebSocket where there is nothing", with(":path", "/nowhere", connect()), 404),
      refused("CONNECT with a Content-Length", connect({{"content-length", "0"}})),
      refused("CONNECT for another version of WebSocket", with("sec-websocket-version", "8", connect()), 426),
      refused("CONNECT for a WebSocket without a version", without("sec-websocket-version", connect())),
      refused("CONNECT for a WebSocket by a page of another origin", connect({{"origin", "https://b"}}), 403),
      refused("an unknown expectation", get({{"expect", "miracles"}}), 417),
      refused("a route that is not there", with(":path", "/nowhere"), 404),
      refused("a method that the route does not have", with(":method", "PATCH"), 405),

      reset("no host at all", without(":authority")),
      reset("a malformed :authority", with(":authority", "a b")),
      reset("a blank in :path", with(":path", "/a b")),
      reset("no :method", without(":method")),
      reset("no :scheme", without(":scheme")),
      reset("no :path", without(":path")),
      reset("an empty :path", with(":path", "")),
      reset("a :path without a slash", with(":path", "hello")),
      reset("a second :path", get({{":path", "/json"}})),
      reset("an unknown pseudo-field", get({{":unknown", "1"}})),
      reset("a pseudo-field of responses", get({{":status", "200"}})),
      reset("a pseudo-field behind a field",
            {{":method", "GET"}, {"x", "1"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/hello"}}),
      reset("Connection", get({{"connection", "close"}})),
      reset("Keep-Alive", get({{"keep-alive", "1"}})),
      reset("Proxy-Connection", get({{"proxy-connection", "close"}})),
      reset("Transfer-Encoding", get({{"transfer-encoding", "chunked"}})),
      reset(":protocol of another method than CONNECT", get({{":protocol", "websocket"}})),
      reset("two :protocol", connect({{":protocol", "websocket"}})),
      reset("CONNECT with :protocol and without :scheme", without(":scheme", connect())),
      reset("CONNECT with :protocol and without :path", without(":path", connect())),
      reset("CONNECT with :protocol and without :authority", without(":authority", connect({{"host", "a"}}))),
      reset("CONNECT without :protocol and with :path", without(":protocol", connect())),
      reset("CONNECT with Upgrade", connect({{"upgrade", "websocket"}})),
      reset("Upgrade", get({{"upgrade", "websocket"}})),
      reset("TE other than trailers", get({{"te", "trailers, gzip"}})),
      reset("a field without a name", get({{"", "x"}})),
      reset("a blank in a name", get({{"a b", "x"}})),
      reset("a colon in a name", get({{"a:b", "x"}})),
      reset("CR in a value", get({{"x", "a\rb"}})),
      reset("LF in a value", get({{"x", "a\nb"}})),
      reset("NUL in a value", get({{"x", std::string("a\0b", 3)}})),
      reset("a blank before a value", get({{"x", " a"}})),
      reset("a blank behind a value", get({{"x", "a "}})),
      reset("a malformed Content-Length", post({{"content-length", "3x"}}), "abc"),
      reset("two Content-Lengths", post({{"content-length", "3"}, {"content-length", "3"}}), "abc"),
      reset("a body shorter than Content-Length", post({{"content-length", "4"}}), "abc"),
      reset("a body longer than Content-Length", post({{"content-length", "2"}}), "abc"),
      reset("Content-Length without a body", get({{"content-length", "1"}})),
  };
}

std::vector<Http2FrameCase> http2_frame_cases() {
  using Ends = Http2FrameCase::Ends;
  const std::string hello = frame(kHeaders, kEndHeaders | kEndStream, 1, kHello);
  const std::string post_echo = frame(kHeaders, kEndHeaders, 1, kPostEcho);
  const auto ends = [](std::string name, std::string sent, std::uint32_t error = kProtocolError) {
    return Http2FrameCase{.name = std::move(name), .bytes = std::move(sent), .error = error};
  };
  const auto resets = [](std::string name, std::string sent, std::uint32_t error = kProtocolError) {
    return Http2FrameCase{.name = std::move(name), .bytes = std::move(sent), .ends = Ends::stream_1, .error = error};
  };
  const auto passes = [](std::string name, std::string sent) {
    return Http2FrameCase{.name = std::move(name), .bytes = std::move(sent), .ends = Ends::nothing};
  };
  return {
      passes("an unknown frame", frame(0xfe, 0xff, 1, "anything")),
      passes("a PING", frame(kPing, 0, 0, "12345678")),
      passes("an unknown setting", frame(kSettings, 0, 0, bytes("\xff\xff\0\0\0\1"))),
      passes("PRIORITY of an idle stream", frame(kPriority, 0, 3, bytes("\0\0\0\0\x10"))),
      passes("padding", frame(kHeaders, kEndHeaders | kEndStream | kPadded, 1, bytes("\2") + kHello + bytes("\0\0"))),

      ends("DATA of stream 0", frame(kData, 0, 0, "x")),
      ends("DATA of an idle stream", frame(kData, 0, 1, "x")),
      ends("HEADERS of stream 0", frame(kHeaders, kEndHeaders | kEndStream, 0, kHello)),
      ends("HEADERS of a stream that was skipped",
           frame(kHeaders, kEndHeaders | kEndStream, 5, kHello) + frame(kHeaders, kEndHeaders | kEndStream, 3, kHello)),
      ends("PRIORITY of stream 0", frame(kPriority, 0, 0, bytes("\0\0\0\3\x10"))),
      ends("PRIORITY_UPDATE for stream 0", frame(kPriorityUpdate, 0, 0, bytes("\0\0\0\0u=1"))),
      ends("PRIORITY_UPDATE of a stream", frame(kPriorityUpdate, 0, 1, bytes("\0\0\0\1u=1"))),
      ends("HEADERS of an even stream", frame(kHeaders, kEndHeaders | kEndStream, 2, kHello)),
      ends("padding longer than the frame", frame(kHeaders, kEndHeaders | kEndStream | kPadded, 1, bytes("\xff"))),
      ends("another frame within a header block",
           frame(kHeaders, kEndStream, 1, kHello) + frame(kPing, 0, 0, "12345678")),
      ends("CONTINUATION of another stream",
           frame(kHeaders, kEndStream, 1, kHello) + frame(kContinuation, kEndHeaders, 3, "")),
      ends("CONTINUATION without HEADERS", frame(kContinuation, kEndHeaders, 1, kHello)),
      ends("RST_STREAM of an idle stream", frame(kRstStream, 0, 1, bytes("\0\0\0\10"))),
      ends("RST_STREAM of stream 0", frame(kRstStream, 0, 0, bytes("\0\0\0\10"))),
      ends("RST_STREAM of another size", hello + frame(kRstStream, 0, 1, bytes("\0\0\0")), kFrameSizeError),
      ends("SETTINGS of a stream", frame(kSettings, 0, 1, "")),
      ends("SETTINGS of another size", frame(kSettings, 0, 0, "12345"), kFrameSizeError),
      ends("an acknowledgement of SETTINGS with content", frame(kSettings, kAck, 0, bytes("\0\1\0\0\0\0")),
           kFrameSizeError),
      ends("a malformed ENABLE_PUSH", frame(kSettings, 0, 0, bytes("\0\2\0\0\0\2"))),
      ends("a window above 2^31-1", frame(kSettings, 0, 0, bytes("\0\4\x80\0\0\0")), kFlowControlError),
      ends("a MAX_FRAME_SIZE below the least", frame(kSettings, 0, 0, bytes("\0\5\0\0\1\0"))),
      ends("PUSH_PROMISE of a client", frame(kPushPromise, kEndHeaders, 1, bytes("\0\0\0\2") + kHello)),
      ends("a PING of another size", frame(kPing, 0, 0, "1234567"), kFrameSizeError),
      ends("a PING of a stream", frame(kPing, 0, 1, "12345678")),
      ends("GOAWAY of a stream", frame(kGoaway, 0, 1, bytes("\0\0\0\0\0\0\0\0"))),
      ends("WINDOW_UPDATE of an idle stream", frame(kWindowUpdate, 0, 1, bytes("\0\0\0\1"))),
      ends("WINDOW_UPDATE of another size", frame(kWindowUpdate, 0, 0, bytes("\0\0\1")), kFrameSizeError),
      ends("a WINDOW_UPDATE of zero for the connection", frame(kWindowUpdate, 0, 0, bytes("\0\0\0\0"))),
      ends("the window of the connection above 2^31-1", frame(kWindowUpdate, 0, 0, bytes("\x7f\xff\xff\xff")),
           kFlowControlError),
      ends("a frame above MAX_FRAME_SIZE", frame(kData, 0, 1, std::string(16'385, 'x')), kFrameSizeError),
      ends("a malformed header block", frame(kHeaders, kEndHeaders | kEndStream, 1, bytes("\xff\xff\xff\xff\xff\xff")),
           kCompressionError),
      ends("an entry of the table that is not there", frame(kHeaders, kEndHeaders | kEndStream, 1, bytes("\xfe")),
           kCompressionError),

      ends("a WINDOW_UPDATE of zero for a stream", post_echo + frame(kWindowUpdate, 0, 1, bytes("\0\0\0\0"))),
      resets("the window of a stream above 2^31-1", post_echo + frame(kWindowUpdate, 0, 1, bytes("\x7f\xff\xff\xff")),
             kFlowControlError),
      passes("an extended CONNECT with bytes behind it",
             frame(kHeaders, kEndHeaders, 1, kConnect) + frame(kData, 0, 1, "abc")),
      passes("an extended CONNECT that ends its stream", frame(kHeaders, kEndHeaders | kEndStream, 1, kConnect)),
      resets(
          "a header block behind an extended CONNECT",
          frame(kHeaders, kEndHeaders, 1, kConnect) + frame(kHeaders, kEndHeaders | kEndStream, 1, bytes("\0\1x\1a"))),
      resets("a name in upper case", frame(kHeaders, kEndHeaders | kEndStream, 1, kHello + bytes("\0\1X\1a"))),
      resets("trailers that do not end the stream", post_echo + frame(kHeaders, kEndHeaders, 1, bytes("\0\1x\1a"))),
      resets("a pseudo-field in trailers", post_echo + frame(kHeaders, kEndHeaders | kEndStream, 1, bytes("\x82"))),
      ends("DATA behind the end of a stream", post_echo + frame(kData, kEndStream, 1, "x") + frame(kData, 0, 1, "x"),
           kStreamClosed),
  };
}

std::string http2_socket(std::string_view bytes, bool asks) {
  const std::string query = asks ? "?later" : "";
  std::string head = kConnect;
  const std::size_t path = head.find("/echo/socket");
  head[path - 1] = static_cast<char>(std::string_view("/echo/socket").size() + query.size());
  head.insert(path + std::string_view("/echo/socket").size(), query);
  const std::size_t half = bytes.size() / 2;
  return frame(kHeaders, kEndHeaders, 1, head) + frame(kData, 0, 1, bytes.substr(0, half)) +
         frame(kData, 0, 1, bytes.substr(half)) + frame(kRstStream, 0, 1, std::string("\0\0\0\10", 4));
}

std::string http2_preface() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, ""); }

}  // namespace pronghorn::test
