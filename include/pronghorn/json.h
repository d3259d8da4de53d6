// JSON bodies with nlohmann-json. A separate header, so that applications without JSON do not pay its compile time.
//
// A member that the client's JSON lacks is the client's error: if a handler has read its body with json_body() and lets
// an exception of nlohmann-json escape, the client gets 400 with nlohmann-json's message as the detail:
//
//   Task<Response> order(Request& request) {
//     const auto body = co_await json_body(request);          // 400 "the body is not valid JSON: ..."
//     const auto item = body.at("item").get<std::string>();   // 400 "the JSON body: key 'item' not found"
//     ...
//
// This includes operator[] with a key: for a missing member, a const value throws; any other inserts null, whose
// get<std::string>() throws. So do front() of an empty array and numbers that a type cannot hold
// (detail/json_numbers.h): body.at("count").get<int>() of 4294967297, 1.5 or true is 400, not 1. Of an enumeration this
// is its underlying type; whether one of its values has that number, the handler must check. Exceptions from JSON that
// the handler itself made are treated the same; catch them, or the client gets 400 for them as well.
//
// nlohmann-json checks nothing in two places, where a client's JSON could end the worker: operator[] with an index on a
// const array, and back() of an empty array or object. Use at(), which throws: tags.at(0), and for the last element
// tags.at(tags.size() - 1), which throws for an empty array too.
#pragma once

#if defined(NLOHMANN_JSON_VERSION_MAJOR) && !defined(PRONGHORN_JSON_ASSERT_PREFIX)
#pragma GCC warning \
    "nlohmann/json.hpp was included before pronghorn/json.h, so a missing member in a request may end the worker: include pronghorn/json.h first, link pronghorn::pronghorn with CMake, or use the flags of pkg-config"
#endif
#include "pronghorn/detail/json_assert.h"
#include "pronghorn/detail/json_object.h"

#include <cstddef>
#include <exception>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/error.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"

namespace pronghorn {
namespace detail {

// Builds a value from the events of nlohmann-json's parser, in constant time per event. (nlohmann-json's own parse()
// with a callback searches the whole parent whenever a value ends.)
class JsonBuilder {
 public:
  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(nlohmann::json::number_integer_t value) { return add(value); }
  bool number_unsigned(nlohmann::json::number_unsigned_t value) { return add(value); }
  bool number_float(nlohmann::json::number_float_t value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(nlohmann::json::binary_t&) { return false; }  // never in text
  bool start_object(std::size_t) { return open(nlohmann::json::value_t::object); }
  bool key(std::string& name) {
    member_ = &open_.back()->get_ref<nlohmann::json::object_t&>()[std::move(name)];
    return true;
  }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(nlohmann::json::value_t::array); }
  bool end_array() { return close(); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    constexpr int kNumberOverflow = 406;
    if (error.id == kNumberOverflow) throw bad_request("the JSON body has a number that is out of range");
    throw bad_request("the body is not valid JSON: error at byte " + std::to_string(position));
  }

  nlohmann::json take() { return std::move(root_); }

 private:
  static constexpr std::size_t kMaxDepth = 128;

  template <class Value>
  bool add(Value&& value) {
    place(std::forward<Value>(value));
    return true;
  }
  template <class Value>
  nlohmann::json* place(Value&& value) {
    if (open_.empty()) {
      root_ = std::forward<Value>(value);
      return &root_;
    }
    if (auto* array = open_.back()->get_ptr<nlohmann::json::array_t*>()) {
      return &array->emplace_back(std::forward<Value>(value));
    }
    *member_ = std::forward<Value>(value);
    return member_;
  }
  bool open(nlohmann::json::value_t type) {
    if (open_.size() == kMaxDepth) throw bad_request("the JSON body is nested deeper than 128 levels");
    open_.push_back(place(nlohmann::json(type)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  nlohmann::json root_;
  std::vector<nlohmann::json*> open_;  // arrays and objects that have not ended, outermost first
  nlohmann::json* member_ = nullptr;   // of the innermost object: where the value after a key belongs
};

inline nlohmann::json parse_json_body(std::string_view text) {
  // For nlohmann-json the text ends at a NUL.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw bad_request("the body is not valid JSON: error at byte " + std::to_string(nul + 1));
  }
  JsonBuilder builder;
  nlohmann::json::sax_parse(text, &builder);
  return builder.take();
}

// "[json.exception.out_of_range.403] key 'item' not found": what follows the bracket.
inline std::optional<std::string> describe_json_error(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const nlohmann::json::exception& json_error) {
    const std::string_view text = json_error.what();
    const std::size_t bracket = text.find("] ");
    return "the JSON body: " + std::string(bracket == std::string_view::npos ? text : text.substr(bracket + 2));
  } catch (const std::out_of_range& failed) {
    if (!std::string_view(failed.what()).starts_with(PRONGHORN_JSON_ASSERT_PREFIX)) return std::nullopt;
    return "the JSON body lacks a member that is required";
  } catch (...) {
    return std::nullopt;
  }
}

}  // namespace detail

// A response from a value: json_response({{"id", 7}, {"tags", {"a", "b"}}}, 201). Its type is application/json. Bytes
// that are not UTF-8 are sent as U+FFFD.
[[nodiscard]] inline Response json_response(const nlohmann::json& value, int status = 200) {
  return json_text(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), status);
}
// The same response, faster: chosen for an object whose members are all text, integers and booleans, as in
// json_response({{"id", 7}, {"name", name}}).
[[nodiscard]] inline Response json_response(std::initializer_list<detail::JsonMember> members, int status = 200) {
  return json_text(detail::json_object_text(members), status);
}

// The request's body as JSON (RFC 8259), whatever its content type. Throws HttpError 400 if the body is empty or
// malformed, nested deeper than 128 levels, or has a number that no double holds; 415 if it has a content coding. Of
// members with the same name the last one counts. Takes time proportional to the body's length.
[[nodiscard]] inline Task<nlohmann::json> json_body(Request& request) {
  request.refuse_content_coding();
  const std::string_view text = co_await request.body();
  request.explain_errors(&detail::describe_json_error);
  co_return detail::parse_json_body(text);
}

// The request's body as a T, which nlohmann-json can read: a type with from_json(), such as one with
// NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE, a container or a number. Throws HttpError 400 if the JSON does not fit.
//
//   struct Order { std::string item; int count; };
//   NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Order, item, count)
//   const auto order = co_await json_body<Order>(request);
template <class T>
[[nodiscard]] Task<T> json_body(Request& request) {
  const nlohmann::json body = co_await json_body(request);
  std::optional<std::string> reason;
  try {
    co_return body.get<T>();
  } catch (...) {
    reason = detail::describe_json_error(std::current_exception());
    if (!reason) throw;
  }
  throw bad_request(*reason);
}

}  // namespace pronghorn
