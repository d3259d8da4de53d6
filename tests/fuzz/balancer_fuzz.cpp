// The cookie by which balance = "cookie-hash" chooses a worker: read from bytes that have not been parsed. Input: the
// name of the cookie, a line feed, then what a client has sent so far.
#include "distributor/cookie_look.h"
#include "framing/framing_cases.h"
#include "fuzz/fuzz_target.h"

namespace pronghorn::fuzz::balancer {

static void fuzz(std::string_view input) {
  using distributor::CookieLook;
  const std::string name(take_line(input));
  const std::string bytes(input);
  const CookieLook whole = distributor::find_cookie(bytes, name);
  require(whole.value.empty() || bytes.find(name + "=" + whole.value) != std::string::npos, "the value was sent");
  require(whole.value.find_first_of(";\n") == std::string::npos, "the value ends with its cookie");
  require(whole.complete || whole.value.empty(), "a value is not taken before its line has ended");
  // Clients send heads in pieces: what is final stays so, whatever follows.
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const CookieLook part = distributor::find_cookie(std::string_view(bytes).substr(0, size), name);
    if (!part.complete) continue;
    require(whole.complete && part.value == whole.value, "more bytes change nothing");
    break;
  }
}

static std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const char* cookies : {"Cookie: a=b", "Cookie: b=c; a=d", "cookie:a=b", "COOKIE: \ta=b",
                              "Cookie: a=", "Cookie: a", "Cookie: aa=b; a=c", "Cookie: b=c\r\nCookie: a=d",
                              "Cookie:", "Cookie: a=b=c", "X: Cookie: a=b", "Cookie: ;;a=b", "Cookie: a=\"b\""}) {
    inputs.push_back("a\n" + test::get_with(std::string(cookies) + "\r\n"));
    inputs.push_back("a\nGET / HTTP/1.1\n" + std::string(cookies) + "\n\n");
    inputs.push_back("a\nGET / HTTP/1.1\r\n" + std::string(cookies));
  }
  return inputs;
}

static const Registered kRegistered({"balancer", fuzz, seeds});

}  // namespace pronghorn::fuzz::balancer
