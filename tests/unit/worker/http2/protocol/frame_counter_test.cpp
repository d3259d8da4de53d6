#include "worker/http2/protocol/frame_counter.h"

#include <string>

#include "support/catch.h"
#include "support/clients/http2/http2_client.h"

using namespace pronghorn::worker;
using pronghorn::test::Http2Client;

TEST_CASE("frames are counted behind the preface, however they arrive", "[http2]") {
  std::string bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  bytes += Http2Client::frame(NGHTTP2_SETTINGS, 0, 0, "");
  bytes += Http2Client::frame(NGHTTP2_DATA, 0, 1, std::string(70'000, 'x'));
  bytes += Http2Client::frame(NGHTTP2_DATA, 0, 1, "x");
  const std::size_t piece = GENERATE(1, 7, 100, 1'000'000);
  FrameCounter counter;
  std::size_t frames = 0;
  for (std::size_t at = 0; at < bytes.size(); at += piece) frames += counter.count(bytes.substr(at, piece));
  CHECK(frames == 3);
  CHECK(counter.count("12345678") == 0);
  CHECK(counter.count("9") == 1);  // with its head
}
