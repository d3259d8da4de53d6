// Makes nlohmann-json refuse numbers that a type cannot hold: get<int>() of 4294967297 throws
// nlohmann::json::out_of_range (406) instead of returning 1, and so does that of 1.5. get_to(), implicit conversions
// and types with NLOHMANN_DEFINE_TYPE_*, which use the same conversion, throw too. A boolean is no number: it throws
// nlohmann::json::type_error (302). For an enumeration without a from_json() of its own this goes for its underlying type.
//
// Included by json_assert.h, ahead of nlohmann-json, because every translation unit of a program has to agree on it.
// With nlohmann-json before 3.11, numbers are not checked.
#pragma once

#if defined(__cplusplus) && __cplusplus >= 202002L && __has_include(<nlohmann/json_fwd.hpp>)
#include <cmath>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <type_traits>
#include <utility>

#ifdef NLOHMANN_JSON_NAMESPACE_BEGIN  // since 3.11
namespace pronghorn::detail {

// Whether a Number can hold a value of a JSON document, if that is whole: a std::uint64_t, std::int64_t or double.
template <class Number, class Value>
constexpr bool holds_json_number(Value value) noexcept {
  using Limits = std::numeric_limits<Number>;
  if constexpr (std::is_floating_point_v<Number>) {
    if constexpr (std::is_floating_point_v<Value>) {
      return !std::isfinite(value) || (value >= Limits::lowest() && value <= Limits::max());
    } else {
      return true;
    }
  } else if constexpr (std::is_floating_point_v<Value>) {
    const auto end = std::ldexp(Value{1}, Limits::digits);
    return (std::is_signed_v<Number> ? value >= -end : value > -1) && value < end;
  } else {
    if constexpr (std::is_signed_v<Value>) {
      if (value < 0) return std::is_signed_v<Number> && value >= static_cast<Value>(Limits::min());
    }
    return static_cast<unsigned long long>(value) <= static_cast<unsigned long long>(Limits::max());
  }
}

template <class Number, class Json>
bool holds_number_of(const Json& json) {
  if (json.is_number_unsigned()) {
    return holds_json_number<Number>(*json.template get_ptr<const typename Json::number_unsigned_t*>());
  }
  if (json.is_number_integer()) {
    return holds_json_number<Number>(*json.template get_ptr<const typename Json::number_integer_t*>());
  }
  if (json.is_number_float()) {
    return holds_json_number<Number>(*json.template get_ptr<const typename Json::number_float_t*>());
  }
  return true;  // no number: nlohmann-json says so itself
}

// Whether an integer is wanted and the value has a fraction.
template <class Number, class Json>
bool has_fraction_for(const Json& json) {
  if (!std::is_integral_v<Number> || !json.is_number_float()) return false;
  const auto value = *json.template get_ptr<const typename Json::number_float_t*>();
  return std::isfinite(value) && value != std::trunc(value);
}

template <class Number>
constexpr bool is_checked_json_number = std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>;

}  // namespace pronghorn::detail

namespace nlohmann {

// The base is nlohmann-json's own serializer, whose second parameter means nothing else.
template <class Number>
struct adl_serializer<Number, std::enable_if_t<pronghorn::detail::is_checked_json_number<Number>>>
    : adl_serializer<Number, Number> {
  template <class Json>
  static void from_json(Json&& json, Number& value) {
    using Value = std::remove_cvref_t<Json>;
    if (json.is_boolean()) {
      throw Value::type_error::create(302, "type must be number, but is boolean", &json);
    }
    if (pronghorn::detail::has_fraction_for<Number>(json)) {
      throw Value::out_of_range::create(406, "number " + json.dump() + " is not a whole number", &json);
    }
    if (!pronghorn::detail::holds_number_of<Number>(json)) {
      throw Value::out_of_range::create(406, "number " + json.dump() + " is out of range", &json);
    }
    adl_serializer<Number, Number>::from_json(std::forward<Json>(json), value);
  }
};

}  // namespace nlohmann

#if !defined(JSON_DISABLE_ENUM_SERIALIZATION) || !JSON_DISABLE_ENUM_SERIALIZATION
// nlohmann-json's own function for enumerations, but more constrained and therefore preferred to it.
NLOHMANN_JSON_NAMESPACE_BEGIN
namespace detail {

template <typename BasicJsonType, typename EnumType, std::enable_if_t<std::is_enum<EnumType>::value, int> = 0>
  requires pronghorn::detail::is_checked_json_number<std::underlying_type_t<EnumType>>
inline void from_json(const BasicJsonType& json, EnumType& value) {
  std::underlying_type_t<EnumType> number;
  adl_serializer<std::underlying_type_t<EnumType>>::from_json(json, number);
  value = static_cast<EnumType>(number);
}

}  // namespace detail
NLOHMANN_JSON_NAMESPACE_END
#endif
#endif
#endif
