// Forwarded and X-Forwarded-*. Input: the fields that a client has sent, one a line, an empty line, and those that
// trusted proxies have appended.
#include <algorithm>
#include <memory>
#include <span>

#include "fuzz/fuzz_target.h"
#include "worker/fields/characters.h"
#include "worker/fields/forwarded.h"
#include "worker/fields/host.h"
#include "worker/fields/text.h"

namespace pronghorn::fuzz::forwarded {

namespace {

using worker::equal_ignoring_case;
using worker::Forwarding;
using worker::Header;
using Fields = std::vector<Header>;

const Networks& trusted() {
  static const Networks networks({"127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48", "unix"});
  return networks;
}

// The family that the proxies of this input set.
worker::ForwardingFields believed;

Forwarding read(const Fields& client, const Fields& proxies) {
  static const auto head = std::make_unique<worker::RequestHead>();
  head->clear();
  for (const Fields* fields : {&client, &proxies}) {
    for (const Header& field : *fields) head->fields[head->field_count++] = field;
  }
  return worker::read_forwarding(*head, trusted(), believed);
}

// Removes field lines up to an empty line, which is removed too. Returns the fields as the parser of heads would.
Fields take_fields(std::string_view& input) {
  constexpr std::size_t kMaxFields = 40;
  Fields fields;
  while (!input.empty() && fields.size() < kMaxFields) {
    const std::string_view line = take_line(input);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const Header field{line.substr(0, colon), worker::trim_blanks(line.substr(colon + 1))};
    if (worker::is_token(field.name) && worker::is_field_value(field.value)) fields.push_back(field);
  }
  return fields;
}

bool is_of(const Header& field, std::string_view name) { return equal_ignoring_case(field.name, name); }
bool has(const Fields& fields, std::string_view name) {
  return std::ranges::any_of(fields, [name](const Header& field) { return is_of(field, name); });
}
Fields only(Fields fields, std::string_view name) {
  std::erase_if(fields, [name](const Header& field) { return !is_of(field, name); });
  return fields;
}
Fields without(Fields fields, std::string_view name) {
  std::erase_if(fields, [name](const Header& field) { return is_of(field, name); });
  return fields;
}
std::string join(const Fields& fields) {
  std::string list;
  for (const Header& field : fields) list.append(list.empty() ? "" : ", ").append(field.value);
  return list;
}
// Quotation marks mean nothing in X-Forwarded-*.
std::size_t count_elements(const Fields& fields, std::string_view name) {
  const std::string joined = join(only(fields, name));
  std::size_t count = 0;
  for (std::string_view list = joined; !list.empty();) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (!worker::trim_blanks(list.substr(0, end)).empty()) ++count;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return count;
}

bool same_client(const Forwarding& a, const Forwarding& b) {
  return a.client.address == b.client.address && a.client.port == b.client.port;
}
bool same(const Forwarding& a, const Forwarding& b) {
  return same_client(a, b) && a.scheme == b.scheme && a.host == b.host;
}

void check_text(const Forwarding& said) {
  const std::string& address = said.client.address;
  if (address.starts_with('_')) {
    require(worker::is_token(address), "a hidden name is a token");
  } else if (!address.empty() && address != "unknown") {
    const auto ip = parse_ip_address(address);
    require(ip && to_string(*ip) == address, "an address is written in one way");
  }
  require(!address.empty() || said.client.port == 0, "a port has its address");
  require(said.scheme.empty() || said.scheme == "http" || said.scheme == "https", "there are two schemes");
  require(worker::is_host(said.host), "a host is a host");
}

// `name` is the list of clients. If trusted proxies name a client that is not trusted, nothing that the client has
// written before them, in fields of its own or in the one that they append to, changes who it is.
void check_believed(const Fields& client, const Fields& proxies, std::string_view name, const Forwarding& near) {
  require(same(read(only(client, name), proxies), near), "a client cannot say who it is");
  const std::string list = join(only(client, name)) + ", " + join(only(proxies, name));
  require(same(read({{name, list}}, without(proxies, name)), near), "a client cannot say so within a proxy's list");
}

// Whether reading ends within the elements of the proxies.
bool ends_at_proxies(const Fields& proxies, std::string_view name, const Forwarding& near) {
  const bool is_standard = name == "forwarded";
  return same(
      near, read({{name, is_standard ? "for=198.51.100.1;proto=https;host=probe.example" : "198.51.100.1"}}, proxies));
}

// If every proxy reports a scheme or host, elements of the client have no effect.
void check_scheme_and_host(const Forwarding& all, const Forwarding& near, const Fields& proxies) {
  const std::size_t elements = std::max<std::size_t>(count_elements(proxies, "x-forwarded-for"), 1);
  if (count_elements(proxies, "x-forwarded-proto") >= elements)
    require(all.scheme == near.scheme, "the scheme is a proxy's");
  if (count_elements(proxies, "x-forwarded-host") >= elements) require(all.host == near.host, "the host is a proxy's");
}

bool has_both(const Fields& fields) {
  return has(fields, "forwarded") &&
         (has(fields, "x-forwarded-for") || has(fields, "x-forwarded-proto") || has(fields, "x-forwarded-host"));
}

void check_families(const Fields& client, const Fields& proxies, const Forwarding& said) {
  Fields all = client;
  all.insert(all.end(), proxies.begin(), proxies.end());
  require(said.both_families == has_both(all), "fields of both families are noticed");
  if (!said.both_families) return;
  require(said.client.address.empty() && said.scheme.empty() && said.host.empty(), "then neither is believed");
}

}  // namespace

static void fuzz(std::string_view input) {
  Fields client = take_fields(input);
  const Fields proxies = take_fields(input);
  const bool is_standard = has(proxies, "forwarded");
  believed = is_standard ? worker::ForwardingFields::forwarded : worker::ForwardingFields::x_forwarded;
  const std::string_view name = is_standard ? "forwarded" : "x-forwarded-for";
  const Forwarding with_everything = read(client, proxies);
  check_text(with_everything);
  check_families(client, proxies, with_everything);
  if (has_both(proxies)) return;
  client = is_standard ? only(client, "forwarded") : without(client, "forwarded");
  const Forwarding all = read(client, proxies);
  const Forwarding near = read({}, proxies);
  check_text(all);
  check_text(near);
  if (!near.client.address.empty() && !trusted().contains(near.client.address)) {
    check_believed(client, proxies, name, near);
  }
  if (!ends_at_proxies(proxies, name, near)) return;
  require(same(read(only(client, name), proxies), near), "nothing left of the end is read");
  require(same_client(all, near), "no other field says who the client is");
  if (is_standard) {
    require(same(all, near), "nothing but Forwarded is read when it is there");
  } else {
    check_scheme_and_host(all, near, proxies);
  }
}

static std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const char* element : {"for=192.0.2.60;proto=https;by=203.0.113.43;host=\"shop.example:8443\"",
                              "for=198.51.100.1, for=10.1.1.1",
                              "for=\"[2001:DB8:cafe::17]:4711\"",
                              "for=\"[::ffff:192.0.2.7]\"",
                              "for=\"192.0.2.7:_hidden\"",
                              "for=_SEVKISEK",
                              "for=Unknown",
                              "for=192.0.2.7;secret=\"a, for=10.1.1.1;\\\", b\"",
                              "for=192.0.2.7;secret=\"a\\\\\", for=10.1.1.1",
                              "for=\"1\\92.0.2.7\"",
                              ", for=192.0.2.7 ,, ",
                              "for=192.0.2.7;;ext=1;ext=2; proto=http;",
                              "proto=https, for=10.1.1.1",
                              "for=\"",
                              "for=\"\\",
                              "\"",
                              "\\",
                              "for=\"a\\\"",
                              "for=192.0.2.9;for=192.0.2.8",
                              "for=\"[fe80::1%eth0]\"",
                              "for=unix",
                              "for=\"_a b\"",
                              "for=192.0.2.9;host=\"a b\"",
                              "for=10.1.1.1;host=a\""}) {
    const std::string field = "Forwarded: " + std::string(element);
    inputs.push_back("\n" + field);
    inputs.push_back(field + "\n\nForwarded: for=192.0.2.7;proto=https, for=10.1.1.1");
    inputs.push_back("Forwarded: for=192.0.2.9;host=evil\n\n" + field);
  }
  for (const char* element :
       {"192.0.2.7", "198.51.100.1, 192.0.2.7, 10.1.1.1,127.0.0.1", "192.0.2.7:4711", "2001:DB8::7",
        "[2001:db8::7]:80, 2001:db8:1::1", "unknown, 10.1.1.1", "localhost", "\"192.0.2.9\"", "unix"}) {
    const std::string field = "X-Forwarded-For: " + std::string(element);
    inputs.push_back("\n" + field);
    inputs.push_back(field +
                     "\nX-Forwarded-Proto: http\nX-Forwarded-Host: evil\n\nX-Forwarded-For: 192.0.2.7, 10.1.1.1\n" +
                     "X-Forwarded-Proto: https, http\nX-Forwarded-Host: shop.example, inner:80");
  }
  inputs.push_back("Forwarded: for=192.0.2.9\nX-Forwarded-For: 192.0.2.9\n\nVia: 1.1 x");
  return inputs;
}

static const Registered kRegistered({"forwarded", fuzz, seeds});

}  // namespace pronghorn::fuzz::forwarded
