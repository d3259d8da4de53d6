// Field values with parameters: Content-Type, and Content-Disposition of a part.
#include "fuzz/fuzz_target.h"
#include "worker/fields/characters.h"
#include "worker/fields/text.h"
#include "worker/forms/multipart_parser.h"
#include "worker/forms/parameters.h"

namespace pronghorn::fuzz::parameters {

static void fuzz(std::string_view input) {
  const std::string field(input);
  const auto parsed = worker::parse_parameters(field);
  const auto boundary = worker::boundary_of(field);
  require(!boundary || (parsed && parsed->find("boundary") != nullptr), "a boundary is a parameter");
  require(!boundary || (!boundary->empty() && boundary->size() <= 70), "a boundary has 1 to 70 characters");
  if (!parsed) return;
  require(is_within(parsed->value, field) && worker::trim_blanks(parsed->value) == parsed->value,
          "the value is trimmed");
  require(parsed->parameters.size() <= worker::kMaxParameters, "parameters are limited");
  std::size_t size = 0;
  for (const worker::Parameter& parameter : parsed->parameters) {
    require(is_within(parameter.name, field) && worker::is_token(parameter.name), "names are tokens");
    require(parsed->find(parameter.name) == &parameter.value, "no parameter is repeated");
    size += parameter.name.size() + parameter.value.size();
  }
  require(size <= field.size(), "parsing adds nothing");
}

static std::vector<std::string> seeds() {
  return {
      "form-data; name=\"a\"",
      "form-data; name=\"a\"; filename=\"b.txt\"",
      "form-data; name=a; filename=\"C:\\dir\\b.txt\"",
      "form-data; name=\"a\\\"b\\\\c\"",
      "form-data;name=a;",
      "form-data; name=\"\"",
      "form-data; name=",
      "form-data; name",
      "form-data; =a",
      "form-data; name=\"a",
      "form-data; name=\"a\"b",
      "form-data; name=a; NAME=b",
      "form-data; name=a=b/c",
      "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
      "multipart/form-data; boundary=\"a b\"; charset=utf-8",
      "multipart/form-data; boundary=\"a b \"",
      ";",
      "",
      "a;b=c;d=e;f=g;h=i;j=k;l=m;n=o;p=q;r=s;t=u;v=w;x=y;z=1;b1=c;b2=c;b3=c;b4=c",
  };
}

static const Registered kRegistered({"parameters", fuzz, seeds});

}  // namespace pronghorn::fuzz::parameters
