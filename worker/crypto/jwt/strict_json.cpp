#include "worker/crypto/jwt/strict_json.h"

#include <string>
#include <utility>
#include <vector>

namespace pronghorn::worker {
namespace {

using nlohmann::json;

// Builds a value from the events of nlohmann-json's parser. A callback that returns false ends the parsing.
class StrictBuilder {
 public:
  bool null() { return place(nullptr) != nullptr; }
  bool boolean(bool value) { return place(value) != nullptr; }
  bool number_integer(json::number_integer_t value) { return place(value) != nullptr; }
  bool number_unsigned(json::number_unsigned_t value) { return place(value) != nullptr; }
  bool number_float(json::number_float_t value, const std::string&) { return place(value) != nullptr; }
  bool string(std::string& value) { return place(std::move(value)) != nullptr; }
  bool binary(json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(json::value_t::object); }
  bool key(std::string& name) {
    const auto [at, is_new] = open_.back()->get_ref<json::object_t&>().emplace(std::move(name), nullptr);
    member_ = &at->second;
    return is_new;
  }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(json::value_t::array); }
  bool end_array() { return close(); }
  bool parse_error(std::size_t, const std::string&, const json::exception&) { return false; }

  json take() { return std::move(root_); }

 private:
  static constexpr std::size_t kMaxDepth = 16;

  template <class Value>
  json* place(Value&& value) {
    if (open_.empty()) {
      root_ = std::forward<Value>(value);
      return &root_;
    }
    if (auto* array = open_.back()->get_ptr<json::array_t*>()) return &array->emplace_back(std::forward<Value>(value));
    *member_ = std::forward<Value>(value);
    return member_;
  }
  bool open(json::value_t type) {
    if (open_.size() == kMaxDepth) return false;
    open_.push_back(place(json(type)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  json root_;
  std::vector<json*> open_;  // arrays and objects that have not ended, outermost first
  json* member_ = nullptr;   // of the innermost object: where the value after a name belongs
};

}  // namespace

std::optional<json> parse_strict_object(std::string_view text) {
  // nlohmann-json would skip a byte order mark, which RFC 8259 does not let anyone send, and end at a NUL.
  if (text.empty() || text.front() == '\xef' || text.find('\0') != std::string_view::npos) return std::nullopt;
  StrictBuilder builder;
  if (!json::sax_parse(text, &builder)) return std::nullopt;
  json value = builder.take();
  if (!value.is_object()) return std::nullopt;
  return value;
}

}  // namespace pronghorn::worker
