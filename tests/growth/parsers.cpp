// Runs every parser of client bytes on inputs of two sizes, in the shapes that make careless parsers slow. Callgrind
// counts what each costs: see growth.py.
#include <valgrind/callgrind.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "distributor/cookie_look.h"
#include "framing/websocket_cases.h"
#include "pronghorn/error.h"
#include "pronghorn/json.h"
#include "pronghorn/request.h"
#include "worker/admin/negotiation.h"
#include "worker/crypto/base64.h"
#include "worker/crypto/jwt/jwt.h"
#include "worker/crypto/jwt/strict_json.h"
#include "worker/crypto/password_hash.h"
#include "worker/exchange/correlation.h"
#include "worker/exchange/deadline.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/content/content_coding.h"
#include "worker/fields/forwarded.h"
#include "worker/fields/http_date.h"
#include "worker/files/byte_ranges.h"
#include "worker/files/conditional.h"
#include "worker/files/folder.h"
#include "worker/forms/multipart_parser.h"
#include "worker/forms/parameters.h"
#include "worker/guardian/verdict.h"
#include "worker/http1/parser/chunked_decoder.h"
#include "worker/http1/parser/head_guard.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/http2/protocol/head_assembly.h"
#include "worker/http2/protocol/priority.h"
#include "worker/net/accept/proxy_header.h"
#include "worker/routing/router.h"
#include "worker/state/cached_responses/cache_control.h"
#include "worker/state/events/messages/event_message.h"
#include "worker/state/idempotency/idempotency_key.h"
#include "worker/state/quarantine/path_shape.h"
#include "worker/tokens/refresh_token.h"
#include "worker/websocket/handshake/handshake.h"
#include "worker/websocket/protocol/frame_reader.h"

namespace pronghorn {
namespace {

using namespace worker;

constexpr std::size_t kSmall = 32 * 1024;
constexpr std::size_t kLarge = 2 * kSmall;

using Parse = std::function<void(std::string_view)>;

// `unit` repeated to `size` bytes.
std::string repeat(std::string_view unit, std::size_t size) {
  std::string text;
  while (text.size() < size) text += unit;
  return text;
}

// Counts what `parse` costs for inputs of both sizes.
void measure(const std::string& name, const std::function<std::string(std::size_t)>& make, const Parse& parse) {
  for (const std::size_t size : {kSmall, kLarge}) {
    const std::string input = make(size);
    const std::string label = name + " " + std::to_string(size);
    CALLGRIND_ZERO_STATS;
    try {
      parse(input);
    } catch (const std::exception&) {  // refusing is an answer, too
    }
    CALLGRIND_DUMP_STATS_AT(label.c_str());
  }
}

void measure_repeated(const std::string& parser, std::initializer_list<std::string_view> units, const Parse& parse) {
  for (const std::string_view unit : units) {
    std::string shown;
    for (const char c : unit) shown += c > ' ' && c < 0x7f ? c : '~';
    measure(parser + " " + shown, [unit](std::size_t size) { return repeat(unit, size); }, parse);
  }
}

// A request with one field, or with a query, as the application sees it.
class OneRequest final : public ExchangeOwner {
 public:
  OneRequest() {
    exchange_->head.clear();
    exchange_->owner = this;
  }
  Request& request() { return exchange_->request; }
  RequestHead& head() { return exchange_->head; }
  void add(std::string_view name, std::string_view value) { head().fields[head().field_count++] = {name, value}; }
  void body(std::string_view bytes, std::string_view type) {
    head().known[static_cast<std::size_t>(KnownHeader::content_type)] = static_cast<std::int16_t>(head().field_count);
    add("Content-Type", type);
    exchange_->body.begin(bytes.size());
    exchange_->body.push(bytes);
    exchange_->body.finish();
  }
  void respond(Exchange&, Response&&) override {}
  void want_body(Exchange&) override {}

 private:
  std::unique_ptr<Exchange> exchange_ = std::make_unique<Exchange>();
};

template <class T>
void run(Task<T> task) {
  task.start();
  static_cast<void>(task.take());
}

void parse_whole_head(std::string_view bytes) {
  static const auto head = std::make_unique<RequestHead>();
  const HeadScan scan = scan_head(bytes, 0, std::string_view::npos);
  HttpLimits no_limits;
  no_limits.max_request_line = no_limits.max_header_bytes = 0;
  if (scan.state == HeadScan::State::complete) {
    static_cast<void>(parse_head(bytes.substr(0, scan.position), scan.first_line, no_limits, *head));
  }
}

// A header block whose fields have the length of the unit.
void measure_header_blocks() {
  HttpLimits no_limits;
  no_limits.max_request_line = no_limits.max_header_bytes = 0;
  const auto assemble = [&no_limits](std::string_view name, std::string_view text, std::size_t piece) {
    static const auto head = std::make_unique<RequestHead>();
    HeadAssembly assembly;
    std::string bytes;
    assembly.begin();
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
      static_cast<void>(assembly.add(name, text.substr(0, piece), no_limits));
    }
    static_cast<void>(assembly.finish(no_limits, bytes, *head));
  };
  const auto input = [](std::size_t size) { return repeat("a", size); };
  for (const std::string name : {"cookie", "x", ":path", "host"}) {
    for (const std::size_t piece : {1, 1000}) {
      measure("header block " + name + " " + std::to_string(piece), input,
              [&](std::string_view text) { assemble(name, text, piece); });
    }
  }
}

void measure_heads() {
  measure_repeated("target", {"a", "/", "%41", "?", "a?b"}, [](std::string_view text) {
    parse_whole_head("GET /" + std::string(text) + " HTTP/1.1\r\nHost: a\r\n\r\n");
  });
  measure_repeated("method", {"A", "-"}, [](std::string_view text) {
    parse_whole_head(std::string(text) + " / HTTP/1.1\r\nHost: a\r\n\r\n");
  });
  for (const char* name : {"Host", "Connection", "Transfer-Encoding", "Content-Length", "Expect", "X"}) {
    measure_repeated(std::string("field ") + name, {"a", " ", "\t", ",", "a,", ", ", "0", "%41", "[", ":"},
                     [name](std::string_view text) {
                       for (const char* method : {"GET", "POST"}) {
                         parse_whole_head(method + (" / HTTP/1.1\r\nHost: a\r\n" + std::string(name)) + ": " +
                                          std::string(text) + "\r\n\r\n");
                       }
                     });
  }
  measure(
      "head, byte by byte", [](std::size_t size) { return repeat("X: a\r\n", size); },
      [](std::string_view lines) {
        const std::string head = "GET / HTTP/1.1\r\n" + std::string(lines) + "\r\n";
        HeadScan scan{HeadScan::State::incomplete, 0, std::string_view::npos};
        for (std::size_t size = 1; size <= head.size() && scan.state == HeadScan::State::incomplete; ++size) {
          scan = scan_head(std::string_view(head).substr(0, size), scan.position, scan.first_line);
        }
      });
}

void measure_chunks() {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
    measure_repeated("chunks, in " + std::to_string(piece), {"1\r\na\r\n", "0;a", "1;a=\"b\"\r\na\r\n", "0", "1 "},
                     [piece](std::string_view text) {
                       ChunkedDecoder decoder;
                       while (!text.empty()) {
                         const auto step = decoder.next(text.substr(0, piece));
                         if (step.state >= ChunkedDecoder::State::done) break;
                         text.remove_prefix(step.consumed);
                       }
                     });
  }
}

void parse_multipart(std::string_view body, std::size_t piece) {
  MultipartParser parser("XX", {.parts = 0, .head_bytes = 0, .field_bytes = 0, .file_bytes = 0});
  while (!body.empty()) {
    const auto step = parser.next(body.substr(0, piece));
    if (step.state >= MultipartParser::State::malformed) break;
    if (step.state == MultipartParser::State::part) static_cast<void>(parser.take_part());
    body.remove_prefix(step.consumed);
  }
}

void measure_forms() {
  const std::string part = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
    const std::string in_pieces = "multipart, in " + std::to_string(piece);
    measure_repeated(in_pieces + ", preamble", {"\r", "\r\n--", "\r\n--X", "--XX", "a"},
                     [piece](std::string_view text) { parse_multipart(text, piece); });
    measure_repeated(in_pieces + ", content", {"\r", "\r\n", "\r\n--", "\r\n--X", "-", "a"},
                     [&part, piece](std::string_view text) { parse_multipart(part + std::string(text), piece); });
    measure_repeated(in_pieces + ", parts", {part + "\r\n"},
                     [piece](std::string_view text) { parse_multipart(text, piece); });
    measure_repeated(in_pieces + ", head", {"a", "X: a\r\n", "a: "},
                     [piece](std::string_view text) { parse_multipart("--XX\r\n" + std::string(text), piece); });
  }
  measure_repeated("parameters", {";", "; ", "a", ";a=b", "\\", "\"", "\\\""}, [](std::string_view text) {
    static_cast<void>(parse_parameters("form-data; a=\"" + std::string(text)));
    static_cast<void>(parse_parameters(text));
  });
  measure_repeated("form", {"&", "a&", "a=b&", "%41", "=", "+", "a"}, [](std::string_view text) {
    OneRequest one;
    one.body(text, "application/x-www-form-urlencoded");
    run(one.request().form());
  });
  measure_repeated("json", {"[", "[],", "{},", "{\"a\":[", "1,", "\"a\",", "\\u00e9", "1", " ", "\"a\":1,"},
                   [](std::string_view text) {
                     for (const char* before : {"[", "{", "\"", "[{},{\"b\":"}) {
                       const std::string body = before + std::string(text);
                       try {
                         OneRequest one;
                         one.body(body, "application/json");
                         run(json_body(one.request()));
                       } catch (const HttpError&) {
                       }
                     }
                   });
  for (const auto& [unit, end] : {std::pair{"{},", "{}]"}, std::pair{"[],", "[]]"}, std::pair{"1,", "1]"}}) {
    measure(
        std::string("valid json [") + unit, [unit](std::size_t size) { return repeat(unit, size); },
        [end](std::string_view text) {
          OneRequest one;
          const std::string body = "[" + std::string(text) + end;
          one.body(body, "application/json");
          run(json_body(one.request()));
        });
  }
}

void measure_fields() {
  measure_repeated("query", {"&", "a&", "a=b&", "%41&", "=", "+", "a"}, [](std::string_view text) {
    OneRequest one;
    one.head().query = text;
    static_cast<void>(one.request().query("z"));
    static_cast<void>(one.request().query_all("a"));
  });
  measure_repeated("cookies", {";", "; ", "a=b;", "=", "\"", "a", " "}, [](std::string_view text) {
    OneRequest one;
    one.add("Cookie", text);
    static_cast<void>(one.request().cookie("z"));
    static_cast<void>(one.request().cookies("a"));
  });
  static const Networks trusted({"10.0.0.0/8"});
  for (const char* name : {"Forwarded", "X-Forwarded-For"}) {
    measure_repeated(name, {",", "for=10.1.1.1,", "10.1.1.1,", "\"", "\\", "\\\"", ";", "for=\"", " ", "a"},
                     [name](std::string_view text) {
                       OneRequest one;
                       one.add(name, text);
                       one.add(name, text);
                       for (const auto believed : {ForwardingFields::forwarded, ForwardingFields::x_forwarded}) {
                         static_cast<void>(read_forwarding(one.head(), trusted, believed));
                       }
                     });
  }
  measure_repeated("Accept-Encoding", {",", "gzip,", "gzip;q=0.5,", ";", "gzip;q=1;", " "}, [](std::string_view text) {
    OneRequest one;
    one.add("Accept-Encoding", text);
    static_cast<void>(choose_coding(one.head(), std::array{ContentCoding::br, ContentCoding::gzip}));
  });
  measure_repeated("Range", {",", "0-1,", "-1,", "0-,", " ", "1"}, [](std::string_view text) {
    static_cast<void>(read_ranges("bytes=" + std::string(text), 1'000'000));
  });
  measure_repeated("If-None-Match", {",", "\"a\",", "W/\"a\",", "\"", "W/", " "}, [](std::string_view text) {
    OneRequest one;
    one.head().method = "GET";
    one.add("If-None-Match", text);
    static_cast<void>(select(one.request(), {"\"tag\"", 0, 100}));
  });
  measure_repeated("Idempotency-Key", {"\\\"", "a", "\"", "\r\n", "\r\nI", ";"}, [](std::string_view text) {
    static_cast<void>(parse_idempotency_key(text));
    static_cast<void>(parse_idempotency_key("\"" + std::string(text)));
    static_cast<void>(may_repeat_under_key("POST / HTTP/1.1" + std::string(text)));
    static_cast<void>(may_repeat_under_key(text));
  });
  measure_repeated("trailers", {"X: a\r\n", "X:\r\n"}, [](std::string_view text) {
    OneRequest one;
    one.request().exchange().trailer_bytes = text;
    static_cast<void>(one.request().trailer("z"));
  });
  measure_repeated("the balancer's cookie", {"\n", "Cookie: a\n", ";", "a=b;", "\r", " "}, [](std::string_view text) {
    const std::string head = "GET / HTTP/1.1\r\nCookie: " + std::string(text);
    static_cast<void>(distributor::find_cookie(head, "session"));
  });
}

// Lists of other shapes than those above, and values that are short if they are valid.
void measure_other_fields() {
  measure_repeated("Accept", {",", "text/html,", "*/*;q=0.5,", ";", "q=", "q=1;", "/", " "},
                   [](std::string_view text) { static_cast<void>(prefers_html(text)); });
  measure_repeated("Cache-Control", {",", "a,", "max-age=1,", "a=\"b,\",", "=", "\"", "\\\"", "1", " "},
                   [](std::string_view text) {
                     for (const char* before : {"", "a=\"", "max-age="}) CacheControl().add(before + std::string(text));
                   });
  measure_repeated("Priority", {",", "u=1,", "i,", "=", ";", " "},
                   [](std::string_view text) { static_cast<void>(parse_priority(text)); });
  measure_repeated("traceparent", {"0", "a", "-", "00-", " "}, [](std::string_view text) {
    static_cast<void>(parse_traceparent(text));
    static_cast<void>(
        parse_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-" + std::string(text)));
    static_cast<void>(is_request_id(text));
  });
  measure_repeated("date", {" ", "0", "a", "Sun, "}, [](std::string_view text) {
    static_cast<void>(parse_http_date(text));
    static_cast<void>(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT" + std::string(text)));
  });
  measure_repeated("time and place", {"0", ".", "-", "a", " "}, [](std::string_view text) {
    static_cast<void>(parse_seconds(text));
    static_cast<void>(parse_position(text));
  });
}

// As it comes, byte by byte: each part is parsed anew, until it is refused.
void measure_proxy_headers() {
  using namespace std::string_literals;
  const std::string binary = "\r\n\r\n\0\r\nQUIT\n"s;
  for (const auto& [name, before] : {std::pair{"line", "PROXY UNKNOWN "s}, std::pair{"addresses", "PROXY TCP4 "s},
                                     std::pair{"block", binary + "\x21\x11\x0f\xf0"},
                                     std::pair{"long block", binary + "\x21\x11\xff\xff"}, std::pair{"start", ""s}}) {
    measure_repeated(std::string("PROXY header, ") + name, {"a", "0", "1.", "::", " ", "\r", "\r\n\r\n"},
                     [before](std::string_view text) {
                       const std::string bytes = before + std::string(text);
                       static_cast<void>(parse_proxy_header(bytes));
                       for (std::size_t size = 0; size <= bytes.size(); ++size) {
                         const auto header = parse_proxy_header(std::string_view(bytes).substr(0, size));
                         if (header.state != ProxyHeader::State::incomplete) break;
                       }
                     });
  }
}

// A token of a client is refused above 8 KiB, so its parts are measured, too.
void measure_tokens() {
  static KeyRing keys(R"({"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0i"})");
  measure_repeated("token", {"a", ".", "a.", "AAAA", "=", "eyJh"}, [](std::string_view text) {
    static_cast<void>(verify_jwt(text, keys, {.issuer = "a", .audience = "", .leeway = 0, .needs_id = false}, 0));
    static_cast<void>(decode_base64(text));
    static_cast<void>(parse_refresh_token(text, "shop"));
    static_cast<void>(parse_password_hash("$scrypt$ln=" + std::string(text)));
    static_cast<void>(split_words(text));
  });
  measure_repeated("scopes", {" ", "a ", "a  "}, [](std::string_view text) { static_cast<void>(split_words(text)); });
  measure_repeated("claims", {"[", "[],", "{},", "1,", "\"a\",", "\\u00e9", "1", " ", "\"a\":1,"},
                   [](std::string_view text) {
                     for (const char* before : {"{\"a\":[", "{", "{\"", "{\"a\":"}) {
                       static_cast<void>(parse_strict_object(before + std::string(text)));
                     }
                   });
  measure(
      "claims with many names",
      [](std::size_t size) {
        std::string text = "{\"first\":1";
        for (std::size_t number = 0; text.size() < size; ++number) text += ",\"" + std::to_string(number) + "\":1";
        return text + "}";
      },
      [](std::string_view text) { static_cast<void>(parse_strict_object(text)); });
}

void measure_paths() {
  static const auto router = [] {
    auto routes = std::make_unique<Router>();
    for (const char* pattern : {"/{a}/{b}/{c}", "/a/{b}/c", "/a/a/{rest...}", "/{a}/a/{rest...}"}) {
      routes->add("GET", pattern, 0);
    }
    return routes;
  }();
  measure_repeated("path", {"/", "/a", "a", "%2f", "%41", ".", "/.", "1", "-"}, [](std::string_view text) {
    const std::string path = "/" + std::string(text);
    std::array<RouteMatch::Param, kMaxRouteParams> params;
    static_cast<void>(router->find("GET", path, params));
    static_cast<void>(router->allowed_methods(path));
    static_cast<void>(path_shape(path));
    static_cast<void>(relative_path(text, true));
  });
}

void read_frames(std::string_view frames, std::size_t piece) {
  static FrameMemory memory;
  FrameReader reader(memory, {.deflate = true});
  for (; !frames.empty(); frames.remove_prefix(std::min(piece, frames.size()))) {
    std::string_view rest = frames.substr(0, piece);
    for (FrameStep step = reader.next(rest); step.item != FrameItem::none; step = reader.next(rest)) {
      rest.remove_prefix(step.consumed);
    }
  }
}

// Frames of one kind, repeated; `before`: what comes before them.
void measure_frames(const std::string& name, const std::string& frame, const std::string& before = {}) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
    measure(
        "WebSocket, in " + std::to_string(piece) + ", " + name, [&](std::size_t size) { return repeat(frame, size); },
        [&](std::string_view frames) { read_frames(before + std::string(frames), piece); });
  }
}

// Payloads of one frame, and of many.
void measure_payloads(const std::string& name, std::string_view unit, unsigned reserved) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}}) {
    measure(
        "WebSocket, in " + std::to_string(piece) + ", " + name, [&](std::size_t size) { return repeat(unit, size); },
        [&](std::string_view payload) {
          read_frames(test::raw_frame(1, payload, {.reserved = reserved}), piece);
          read_frames(test::raw_fragments(1, payload, 100, reserved), piece);
        });
  }
}

void measure_websockets() {
  using test::raw_frame;
  const std::string begun = raw_frame(1, "a", {.final = false});
  measure_frames("texts", raw_frame(1, "a"));
  measure_frames("empty messages", raw_frame(2, ""));
  measure_frames("pings", raw_frame(9, "a"));
  measure_frames("fragments", raw_frame(0, "a", {.final = false}), begun);
  measure_frames("empty fragments", raw_frame(0, "", {.final = false}), begun);
  measure_frames("pings within a message", raw_frame(9, "a"), begun);
  measure_payloads("ASCII", "a", 0);
  measure_payloads("UTF-8", "\xc3\xa4\xf0\x90\x8d\x88", 0);
  measure_payloads("empty blocks", std::string_view("\0\0\0\xff\xff", 5), 4);
  measure_payloads("empty last blocks", std::string_view("\x03\0", 2), 4);
  measure(
      "WebSocket, compressed text", [](std::size_t size) { return repeat("a", 30 * size); },
      [](std::string_view text) {
        std::string payload;
        Deflater().deflate(text, {}, payload);
        read_frames(raw_frame(1, payload, {.reserved = 4}), std::string_view::npos);
      });
  for (const char* name :
       {"Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Origin"}) {
    measure_repeated(
        name, {",", "a,", "a", ";", "a;b,", "a;b=\"c\",", "\"", "\\", "=", ":", "/", " "},
        [name](std::string_view text) {
          OneRequest one;
          one.head().method = "GET";
          for (const auto& [field, value] :
               {std::pair{"Upgrade", "websocket"}, std::pair{"Connection", "Upgrade"},
                std::pair{"Sec-WebSocket-Version", "13"}, std::pair{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}}) {
            if (field != std::string_view(name)) one.add(field, value);
          }
          const std::string value =
              (name == std::string_view("Origin") ? "http://" : "permessage-deflate") + std::string(text);
          one.add(name, value);
          static_cast<void>(answer_handshake(one.head(), "a", false, {}));
        });
  }
}

// The numbers are routes here, not bytes: a list of them would cost a hundred times as much.
void measure_routes() {
  for (const std::size_t count : {5, 500}) {
    Router router;
    for (std::uint32_t i = 0; i < count; ++i)
      router.add("GET", "/api/resource" + std::to_string(i) + "/{id}/details", i);
    const std::string label = "lookup among routes " + std::to_string(count);
    std::array<RouteMatch::Param, kMaxRouteParams> params;
    CALLGRIND_ZERO_STATS;
    for (int i = 0; i < 100; ++i) static_cast<void>(router.find("GET", "/api/resource3/42/details", params));
    CALLGRIND_DUMP_STATS_AT(label.c_str());
  }
}

}  // namespace
}  // namespace pronghorn

int main() {
  pronghorn::measure_heads();
  pronghorn::measure_header_blocks();
  pronghorn::measure_chunks();
  pronghorn::measure_forms();
  pronghorn::measure_fields();
  pronghorn::measure_other_fields();
  pronghorn::measure_proxy_headers();
  pronghorn::measure_paths();
  pronghorn::measure_routes();
  pronghorn::measure_tokens();
  pronghorn::measure_websockets();
}
