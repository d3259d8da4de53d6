#include "worker/fields/content/content_coding.h"

#include <array>

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

// Which of br, zstd and gzip is chosen for these Accept-Encoding fields.
std::string_view chosen(std::initializer_list<std::string_view> fields) {
  static constexpr std::array kOffered{ContentCoding::br, ContentCoding::zstd, ContentCoding::gzip};
  RequestHead head;
  head.clear();
  for (const std::string_view field : fields) head.fields[head.field_count++] = {"Accept-encoding", field};
  return name_of(choose_coding(head, kOffered));
}

}  // namespace

TEST_CASE("the coding with the highest weight is chosen, the server's favourite when several have it", "[coding]") {
  CHECK(chosen({"gzip, deflate, br, zstd"}) == "br");
  CHECK(chosen({"gzip, zstd"}) == "zstd");
  CHECK(chosen({"gzip;q=1.0, br;q=0.5, zstd;q=0.999"}) == "gzip");
  CHECK(chosen({"br;q=0.2,GZIP;Q=0.3"}) == "gzip");
  CHECK(chosen({"x-gzip"}) == "gzip");
  CHECK(chosen({"gzip", "br"}) == "br");
  CHECK(chosen({"*"}) == "br");
  CHECK(chosen({"br;q=0, *;q=0.1"}) == "zstd");
}

TEST_CASE("without a coding that the client wants the bytes stay as they are", "[coding]") {
  CHECK(chosen({}) == "identity");
  CHECK(chosen({""}) == "identity");
  CHECK(chosen({"deflate, compress"}) == "identity");
  CHECK(chosen({"br;q=0, gzip;q=0.000"}) == "identity");
  CHECK(chosen({"gzip;q=0.5, identity"}) == "identity");
  CHECK(chosen({"gzip;q=0.5, identity;q=0.5"}) == "gzip");
  CHECK(chosen({"*;q=0"}) == "identity");
  CHECK(chosen({"identity;q=0"}) == "identity");
  for (const char* malformed :
       {"gzip;q=", "gzip;q=2", "gzip;q=1.5", "gzip;q=x", "gzip;q=0.0001", "gzip;q=1x", "gzip;;q=0", ";q=1"}) {
    INFO(malformed);
    CHECK(chosen({malformed}) == "identity");
  }
}
