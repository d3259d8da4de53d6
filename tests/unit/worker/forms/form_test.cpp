// application/x-www-form-urlencoded bodies as a handler reads them.
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

using namespace pronghorn;

TEST_CASE("a urlencoded form is decoded, in order", "[form]") {
  TestClient client([](App& app) {
    app.post("/form", [](Request& request) -> Task<Response> {
      const Form form = co_await request.form();
      std::string answer = std::to_string(form.fields().size()) + ":";
      for (const auto& [name, value] : form.fields()) answer += name + "=" + value + ";";
      co_return text(form.fields().size() > 10 ? "many" : answer);
    });
  });
  const std::string type = "application/x-www-form-urlencoded";
  CHECK(client.post("/form", "a=1&b=x+y%26%3D&&c&=d&a=2", type).body == "5:a=1;b=x y&=;c=;=d;a=2;");
  CHECK(client.post("/form", "", type).body == "0:");
  CHECK(client.post("/form", "a=1", type + "; charset=utf-8").status == 200);
  CHECK(client.post("/form", "a=1", "text/plain").status == 415);
  for (const std::string_view malformed : {"a=%", "a=%4", "a=%zz", "%=a", "a=1&b=%4g"}) {
    CAPTURE(malformed);
    CHECK(client.post("/form", malformed, type).status == 400);
  }
  std::string fields;
  for (int i = 0; i < 1000; ++i) fields += "a&";
  CHECK(client.post("/form", fields, type).body == "many");
  CHECK(client.post("/form", fields + "a", type).status == 413);
}
