// Content negotiation by coding. Input: what is offered ("bzg": br, zstd, gzip) in a line, then
// Accept-Encoding fields, one a line.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "fuzz/fuzz_target.h"
#include "worker/fields/content/content_coding.h"
#include "worker/fields/content/quality.h"
#include "worker/fields/text.h"

namespace pronghorn::fuzz::coding {

namespace {

using worker::ContentCoding;
using Codings = std::vector<ContentCoding>;
using Values = std::vector<std::string>;

ContentCoding choose(const Values& values, const Codings& offered) {
  static const auto head = std::make_unique<worker::RequestHead>();
  head->clear();
  for (const std::string& value : values) head->fields[head->field_count++] = {"accept-encoding", value};
  return worker::choose_coding(*head, offered);
}

Codings read_offered(std::string_view letters) {
  Codings offered;
  for (const char letter : letters) {
    const ContentCoding coding = letter == 'b'   ? ContentCoding::br
                                 : letter == 'z' ? ContentCoding::zstd
                                                 : ContentCoding::gzip;
    if (std::ranges::find(offered, coding) == offered.end()) offered.push_back(coding);
  }
  return offered;
}

Values with(Values values, const std::string& one_more) {
  values.push_back(one_more);
  return values;
}

bool is_named(const Values& values, ContentCoding coding) {
  return std::ranges::any_of(values, [coding](std::string value) {
    std::ranges::transform(value, value.begin(), worker::lower);
    return value.find(worker::name_of(coding)) != std::string::npos || value.find('*') != std::string::npos;
  });
}

void check_choice(const Values& values, const Codings& offered, ContentCoding chosen) {
  for (const ContentCoding coding : offered) {
    const std::string name(worker::name_of(coding));
    Codings others = offered;
    std::erase(others, coding);
    require(choose(with(values, name + ";q=0"), offered) == choose(values, others),
            "who refuses a coding gets what would be without it");
    require(choose(with(values, "x;q=0, " + name + ";Q=0.000"), offered) != coding, "what is refused is not chosen");
    require(choose(with(values, name), {&coding, &coding + 1}) == coding, "what is wanted most is chosen");
  }
  if (chosen == ContentCoding::identity) return;
  require(std::ranges::find(offered, chosen) != offered.end(), "what is chosen was offered");
  require(is_named(values, chosen), "what is chosen was asked for");
  require(choose(values, {chosen}) == chosen, "what is best among all is good alone");
}

// RFC 9110 section 12.4.2
bool is_qvalue(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return false;
  if (text.size() > 1 && text[1] != '.') return false;
  const char* const decimals = text[0] == '0' ? "0123456789" : "0";
  return text.size() < 3 || text.substr(2).find_first_not_of(decimals) == std::string_view::npos;
}

void check_quality(std::string_view text) {
  const long expected = is_qvalue(text) ? std::lround(std::strtod(std::string(text).c_str(), nullptr) * 1000) : 0;
  require(worker::parse_quality(text) == expected, "a weight is that of the text, and 0 when it is malformed");
}

void check_qualities(std::string_view value) {
  while (!value.empty()) {
    const std::size_t end = std::min(value.find_first_of(",;= "), value.size());
    check_quality(value.substr(0, end));
    value.remove_prefix(std::min(end + 1, value.size()));
  }
}

}  // namespace

static void fuzz(std::string_view input) {
  constexpr std::size_t kMaxFields = 32;
  const Codings offered = read_offered(take_line(input));
  Values values;
  std::string joined;
  while (!input.empty() && values.size() < kMaxFields) {
    values.emplace_back(take_line(input));
    joined += values.back() + ',';
    check_qualities(values.back());
  }
  const ContentCoding chosen = choose(values, offered);
  require(choose({joined}, offered) == chosen, "many fields are one list");
  check_choice(values, offered, chosen);
}

static std::vector<std::string> seeds() {
  return {
      "bzg\ngzip, deflate, br, zstd",
      "bzg\ngzip;q=1.0, br;q=0.5, zstd;q=0.999",
      "zg\nbr;q=1, gzip ; q=0.8, *;q=0.1",
      "g\nx-gzip",
      "g\nGZIP;Q=1",
      "bg\n*",
      "bg\n*;q=0",
      "bg\nbr;q=0, *",
      "bg\n*, br;q=0\ngzip;q=0.001",
      "g\nidentity, gzip;q=0.5",
      "g\nidentity;q=0, gzip;q=0",
      "g\ngzip;q=0, gzip",
      "g\ngzip;q=1.001",
      "g\ngzip;q=1.5",
      "g\ngzip;q=0.",
      "g\ngzip;q=.5",
      "g\ngzip;q=0.0001",
      "g\ngzip;q=-1",
      "g\ngzip;q=",
      "g\ngzip;q",
      "g\ngzip;level=1;q=0.5;q=0",
      "g\n,,gzip,,\n\n;q=1",
      "g\ngzip\tx;q=1",
      "\ngzip",
      "",
  };
}

static const Registered kRegistered({"coding", fuzz, seeds});

}  // namespace pronghorn::fuzz::coding
