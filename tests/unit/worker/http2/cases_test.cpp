// The tables of tests/framing/http2_cases.h, without a socket. (tests/integration/http/http2_test.cpp sends them to the
// real server.)
#include "framing/http2_cases.h"

#include <string>

#include "pronghorn/response.h"
#include "support/catch.h"
#include "unit/worker/http2/test_http2.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using test::Http2FrameCase;

TEST_CASE("frames that RFC 9113 forbids end the stream or the connection", "[http2][framing]") {
  for (const Http2FrameCase& frames : test::http2_frame_cases()) {
    CAPTURE(frames.name);
    TestHttp2 test(never_answer);
    test.run();
    test.client().request("GET", "/unused");  // so that the client knows stream 1
    static_cast<void>(test.client().output());
    test.send_raw(frames.bytes);
    const auto& goaways = test.goaways();
    switch (frames.ends) {
      case Http2FrameCase::Ends::connection:
        REQUIRE(goaways.size() == 1);
        CHECK(goaways[0].error == frames.error);
        CHECK(test.stream().fin_sent());
        break;
      case Http2FrameCase::Ends::stream_1:
        CHECK(test.client().answer(1).closed);
        CHECK(test.client().answer(1).error == frames.error);
        CHECK(goaways.empty());
        break;
      case Http2FrameCase::Ends::nothing:
        CHECK(goaways.empty());
        CHECK_FALSE(test.client().answer(1).closed);
        break;
    }
  }
}
