#include "worker/runtime/exception_text.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <string_view>
#include <typeinfo>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxWhat = 2048;  // so that a log line with it is never too long to be written

}  // namespace

std::string type_name(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                    std::free);
  return status == 0 ? name.get() : type.name();
}

std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    const char* const said = exception.what();
    const std::string_view text = said != nullptr ? said : "";
    return fmt::format("{}: {}{}", type_name(typeid(exception)), text.substr(0, kMaxWhat),
                       text.size() > kMaxWhat ? "..." : "");
  } catch (...) {
    const std::type_info* const type = abi::__cxa_current_exception_type();
    return type ? type_name(*type) : "unknown exception";
  }
}

}  // namespace pronghorn::worker
