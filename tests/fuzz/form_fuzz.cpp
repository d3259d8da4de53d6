// Queries and forms: the same text must give the same fields in both.
#include <memory>
#include <optional>

#include "fuzz/fuzz_target.h"
#include "pronghorn/error.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/percent_encoding.h"

namespace pronghorn::fuzz::form {

namespace {

using worker::Exchange;

class NoOwner final : public worker::ExchangeOwner {
 public:
  void respond(Exchange&, Response&&) override {}
  void want_body(Exchange&) override {}
};

// nullopt: refused.
std::optional<Form> read_form(Exchange& exchange, std::string_view text) {
  exchange.body.begin();
  exchange.body.push(text);
  exchange.body.finish();
  Task<Form> task = exchange.request.form();
  task.start();
  require(task.done(), "a form that has come is read at once");
  try {
    return task.take();
  } catch (const HttpError&) {
    return std::nullopt;
  }
}

template <class T>
void check_number(const Request& request, std::string_view name, const std::string& text) {
  try {
    require(request.query<T>(name).has_value() && !text.empty(), "a number is some text");
  } catch (const HttpError&) {
  }
}

void check_field(const Request& request, const std::string& name) {
  try {
    const auto value = request.query<std::string>(name);
    require(value.has_value(), "the form's fields are the query's");
    const auto all = request.query_all(name);
    require(!all.empty() && all.front() == *value, "the first field of that name is one of all");
    check_number<int>(request, name, *value);
    check_number<std::uint64_t>(request, name, *value);
    check_number<double>(request, name, *value);
    check_number<bool>(request, name, *value);
  } catch (const HttpError&) {
    require(false, "what is a form is a query");
  }
}

}  // namespace

static void fuzz(std::string_view input) {
  static NoOwner owner;
  const auto exchange = std::make_unique<Exchange>();
  exchange->head.clear();
  exchange->owner = &owner;
  exchange->head.query = input;
  exchange->head.fields[0] = {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"};
  exchange->head.known[static_cast<std::size_t>(worker::KnownHeader::content_type)] = 0;
  exchange->head.field_count = 1;

  const auto form = read_form(*exchange, input);
  std::string decoded;
  if (worker::percent_decode(input, decoded, true)) {
    require(form.has_value(), "what is encoded correctly is a form");
    require(decoded.size() <= input.size(), "decoding adds nothing");
  }
  if (!form) return;
  constexpr std::size_t kChecked = 16;  // looking up all of them takes quadratic time
  std::size_t checked = 0;
  for (const auto& [name, value] : form->fields()) {
    if (++checked > kChecked) break;
    require(form->get(name).has_value(), "every field of a form can be asked for");
    check_field(exchange->request, name);
  }
}

static std::vector<std::string> seeds() {
  return {
      "a=1&b=2&c=3",
      "a=b%20c+d",
      "a",
      "a=",
      "=a",
      "=",
      "&",
      "&&a=1&&",
      "a=1&a=2",
      "%61=%62",
      "a=%",
      "a=%2",
      "a=%zz",
      "%=1",
      "a=%00",
      "a=%26%3D%25%2B",
      "a=1=2=3",
      "a=-1&b=+1&c=1.5",
      "n=1e9",
      "n=99999999999999999999",
      "on=true&off=false&x=1&y=0",
      "a;b=c",
      "a[]=1&a[]=2",
      "",
      "a=\303\251&b=%C3%A9",
  };
}

static const Registered kRegistered({"form", fuzz, seeds});

}  // namespace pronghorn::fuzz::form
