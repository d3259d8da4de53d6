#include "worker/state/cached_responses/cache_rules.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "worker/fields/content/entity_tags.h"
#include "worker/fields/http_date.h"
#include "worker/fields/sole_value.h"
#include "worker/fields/text.h"
#include "worker/http/head/field_lines.h"
#include "worker/http/response_access.h"
#include "worker/state/cached_responses/cache_control.h"
#include "worker/state/cached_responses/stored_response.h"
#include "worker/state/keys/digest.h"

namespace pronghorn::worker {
namespace {

using std::chrono::seconds;

// RFC 9110 section 15.1, without 206: parts are not stored.
constexpr std::array<int, 11> kCacheable{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
constexpr std::size_t kMaxVary = 16;  // fields
constexpr seconds kLongestStored = std::chrono::days(31);

std::string lower_case(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(), lower);
  return lowered;
}

// What the fields of a response say about storing it.
struct ResponseFacts {
  CacheControl control;
  // Of several fields the first counts (section 4.2.1, 5.1).
  std::optional<std::time_t> expires;  // 0: the past
  std::optional<std::time_t> date;
  std::optional<seconds> age;
  bool sets_cookie = false;
  bool varies_by_anything = false;
  std::vector<std::string> vary;
};

void add_vary_names(ResponseFacts& facts, std::string_view value) {
  while (!value.empty()) {
    const std::string_view name = take_until(value, ',');
    if (name == "*") facts.varies_by_anything = true;
    if (!name.empty()) facts.vary.push_back(lower_case(name));
  }
}

std::optional<ResponseFacts> facts_of(const Response& response) {
  ResponseFacts facts;
  const bool whole = for_each_field_line(
      ResponseAccess::fields(response), [&facts](std::string_view name, std::string_view value, std::string_view) {
        const auto is = [name](std::string_view known) { return equal_ignoring_case(name, known); };
        if (is("cache-control")) facts.control.add(value);
        if (is("expires") && !facts.expires) facts.expires = parse_http_date(value).value_or(0);
        if (is("date") && !facts.date) facts.date = parse_http_date(value);
        if (is("age") && !facts.age) facts.age = parse_delta_seconds(take_until(value, ',')).value_or(seconds(0));
        if (is("set-cookie")) facts.sets_cookie = true;
        if (is("vary")) add_vary_names(facts, value);
      });
  if (!whole) return std::nullopt;
  std::ranges::sort(facts.vary);
  const auto repeated = std::ranges::unique(facts.vary);
  facts.vary.erase(repeated.begin(), repeated.end());
  return facts;
}

// How old it is (section 4.2.3): as it says itself, or since its Date.
seconds age_of(const ResponseFacts& facts, std::time_t now) {
  return std::max(facts.age.value_or(seconds(0)), seconds(now - facts.date.value_or(now)));
}

// How long the response is fresh from now on.
std::chrono::milliseconds freshness(const ResponseFacts& facts, const CachedOptions& options, std::time_t now) {
  std::chrono::milliseconds lifetime = options.ttl;
  if (facts.control.s_maxage) {
    lifetime = *facts.control.s_maxage;
  } else if (facts.control.max_age) {
    lifetime = *facts.control.max_age;
  } else if (facts.expires) {
    lifetime = std::clamp(seconds(*facts.expires - facts.date.value_or(now)), seconds(0), kLongestStored);
  }
  return std::min<std::chrono::milliseconds>(lifetime - age_of(facts, now), kLongestStored);
}

}  // namespace

RequestRules rules_of(const Request& request) {
  RequestRules rules;
  CacheControl control;
  rules.head = request.method() == "HEAD";
  for (const Request::Header& field : request.headers()) {
    const auto is = [&field](std::string_view known) { return equal_ignoring_case(field.name, known); };
    if (is("cache-control")) control.add(field.value);
    if (is("authorization")) rules.authorized = true;
    // Of conditions only those are answered here that clients of caches use.
    if (is("range") || is("if-range") || is("if-match") || is("if-unmodified-since")) rules.bypass = true;
  }
  if (control.no_store) rules.bypass = true;
  rules.renew = control.no_cache;
  rules.only_stored = control.only_if_cached;
  if (control.max_age) rules.max_age = *control.max_age;
  if (control.max_age || control.min_fresh) rules.least_fresh = control.min_fresh.value_or(seconds(0));
  return rules;
}

std::optional<Storing> storing_of(const Request& request, const Response& response, const CachedOptions& options,
                                  bool personal, std::time_t now) {
  if (std::ranges::find(kCacheable, response.status()) == kCacheable.end()) return std::nullopt;
  if (!ResponseAccess::has_whole_body(response) || response.body().size() > options.max_body) return std::nullopt;
  const std::optional<ResponseFacts> facts = facts_of(response);
  if (!facts || facts->sets_cookie || facts->varies_by_anything || facts->vary.size() > kMaxVary) return std::nullopt;
  const CacheControl& control = facts->control;
  if (control.no_store || control.no_cache || control.is_private) return std::nullopt;
  const bool for_all = control.is_public || control.s_maxage.has_value();
  if ((request.header("authorization") || personal) && !for_all) return std::nullopt;
  Storing storing;
  storing.ttl = freshness(*facts, options, now);
  if (storing.ttl.count() <= 0) return std::nullopt;
  storing.stale = control.stale_while_revalidate.value_or(std::chrono::duration_cast<seconds>(options.stale));
  storing.stale = std::min<std::chrono::milliseconds>(storing.stale, kLongestStored);
  // Sections 5.2.2.2, 5.2.2.8 and 5.2.2.10.
  const bool never_stale = control.must_revalidate || (control.s_maxage && !control.stale_while_revalidate);
  if (never_stale) storing.stale = seconds(0);
  storing.initial_age = age_of(*facts, now);
  storing.vary = facts->vary;
  return storing;
}

std::string variant_of(const Request& request, const std::vector<std::string>& names) {
  std::string variant;
  for (const std::string& name : names) {
    variant.append(name);
    for (const Request::Header& field : request.headers()) {
      if (equal_ignoring_case(field.name, name)) variant.append("\n=").append(trim_blanks(field.value));
    }
    variant += '\n';
  }
  return variant;
}

bool client_has(const Request& request, const Response& response) {
  if (response.status() != 200) return false;
  if (request.header("if-none-match")) {
    const auto etag = response.header("ETag");
    return etag && std::ranges::any_of(request.headers(), [&etag](const Request::Header& field) {
             return equal_ignoring_case(field.name, "if-none-match") && list_has_tag(field.value, *etag, true);
           });
  }
  const auto known = sole_date(request.headers(), "if-modified-since");
  const auto modified = response.header("Last-Modified");
  if (!known || !modified) return false;
  const auto date = parse_http_date(*modified);
  return date && *date <= *known;
}

Response not_modified(const Response& response) {
  Response answer(304);
  answer.content_type(response.content_type());  // for middleware: it is not sent
  for_each_field_line(
      ResponseAccess::fields(response), [&answer](std::string_view name, std::string_view value, std::string_view) {
        for (const std::string_view content : {"content-encoding", "content-language", "content-range"}) {
          if (equal_ignoring_case(name, content)) return;
        }
        answer.append(name, value);
      });
  return answer;
}

std::string make_etag(std::string_view body) { return '"' + sha256_hex(body).substr(0, 32) + '"'; }

}  // namespace pronghorn::worker
