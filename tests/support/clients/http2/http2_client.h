// An HTTP/2 client without a socket: nghttp2 makes and reads the frames, the test carries the bytes.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pronghorn::test {

using Http2Fields = std::vector<std::pair<std::string, std::string>>;

// What came in one stream.
struct Http2Answer {
  int status = 0;            // of the final response
  std::vector<int> interim;  // 1xx
  Http2Fields fields;        // of all header blocks
  Http2Fields trailers;
  std::string body;
  bool complete = false;  // END_STREAM
  bool closed = false;
  std::uint32_t error = 0;  // with which it was closed

  [[nodiscard]] std::optional<std::string> field(std::string_view name) const;
};

struct Http2Goaway {
  std::int32_t last_stream;
  std::uint32_t error;
};

class Http2Client {
 public:
  struct Options {
    std::uint32_t window = 65'535;  // SETTINGS_INITIAL_WINDOW_SIZE
    bool reads_bodies = true;       // false: sends no WINDOW_UPDATE
  };
  Http2Client() : Http2Client(Options{}) {}
  explicit Http2Client(const Options& options);

  // Begins a request; returns its stream. Without a body the request ends with its head, unless it is `open`.
  std::int32_t request(std::string_view method, std::string_view path, const Http2Fields& more = {},
                       std::optional<std::string> body = {}, bool open = false);
  // The same with exactly these fields.
  std::int32_t raw_request(const Http2Fields& fields, std::optional<std::string> body = {}, bool open = false);
  // More of the body of an `open` request.
  void send_body(std::int32_t stream, std::string_view bytes, bool last);
  void send_trailers(std::int32_t stream, const Http2Fields& fields);
  void reset(std::int32_t stream, std::uint32_t error = NGHTTP2_CANCEL);
  void widen(std::int32_t stream, std::int32_t bytes);
  // Whether parts of bodies still wait for the server's window.
  [[nodiscard]] std::size_t unsent(std::int32_t stream) const;

  // What is to be sent now.
  [[nodiscard]] std::string output();
  // What the server has sent. False: it is not HTTP/2.
  [[nodiscard]] bool input(std::string_view bytes);

  [[nodiscard]] const Http2Answer& answer(std::int32_t stream) { return answers_[stream]; }
  [[nodiscard]] const std::vector<Http2Goaway>& goaways() const noexcept { return goaways_; }
  [[nodiscard]] const std::map<std::uint16_t, std::uint32_t>& settings() const noexcept { return settings_; }

  // A frame as bytes.
  [[nodiscard]] static std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                                         std::string_view payload);

 private:
  struct Body {
    std::string bytes;
    bool ended = false;
    bool trailers = false;
  };
  struct Deleter {
    void operator()(nghttp2_session* session) const noexcept { nghttp2_session_del(session); }
  };
  struct Callbacks;

  std::unique_ptr<nghttp2_session, Deleter> session_;
  std::map<std::int32_t, Http2Answer> answers_;
  std::map<std::int32_t, Body> bodies_;
  std::vector<Http2Goaway> goaways_;
  std::map<std::uint16_t, std::uint32_t> settings_;
};

}  // namespace pronghorn::test
