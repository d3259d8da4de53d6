#include "supervisor/crash/stack/dwarf_names.h"
#include "common/text/json_text.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

namespace pronghorn::supervisor {
namespace {

std::string demangled(const char* name) {
  if (name == nullptr) return {};
  if (!std::string_view(name).starts_with("_Z")) return name;  // of C; "f" would become "float"
  int status = 0;
  const std::unique_ptr<char, decltype(&::free)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), ::free);
  return text ? text.get() : name;
}

// The symbols of all modules that occur in the frames.
class Symbols {
 public:
  Symbols() : session_(::dwfl_begin(&kCallbacks)) {
    if (session_ == nullptr) throw std::runtime_error("cannot initialise libdw");
  }
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;
  ~Symbols() { ::dwfl_end(session_); }

  // Appends the calls that were inlined into the frame, innermost first, then the frame itself.
  void explain(Frame frame, bool is_return_address, std::vector<Frame>& out);

 private:
  [[nodiscard]] Dwfl_Module* module_of(const Frame& frame);

  static constexpr Dwfl_Callbacks kCallbacks{
      .find_elf = ::dwfl_build_id_find_elf,
      .find_debuginfo = ::dwfl_standard_find_debuginfo,
      .section_address = ::dwfl_offline_section_address,
      .debuginfo_path = nullptr,
  };
  Dwfl* session_;
  std::map<std::string, Dwfl_Module*> modules_;  // by path; null: unusable
};

std::string build_id_of(Dwfl_Module* module) {
  const unsigned char* bytes = nullptr;
  GElf_Addr address = 0;
  const int size = ::dwfl_module_build_id(module, &bytes, &address);
  std::string text;
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (int i = 0; i < size && i < 20; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

Dwfl_Module* Symbols::module_of(const Frame& frame) {
  if (frame.module.empty()) return nullptr;
  const auto known = modules_.find(frame.module);
  if (known != modules_.end()) return known->second;
  ::dwfl_report_begin_add(session_);
  Dwfl_Module* module = ::dwfl_report_elf(session_, frame.module.c_str(), frame.module.c_str(), -1, frame.bias, true);
  ::dwfl_report_end(session_, nullptr, nullptr);
  if (module != nullptr && !frame.build_id.empty() && build_id_of(module) != frame.build_id) module = nullptr;
  modules_[frame.module] = module;
  return module;
}

// The unit that `pc` belongs to, and what addresses of the module exceed those of its debug information by. The index of
// addresses that libdw looks into (.debug_aranges) is GCC's; clang makes none.
Dwarf_Die* unit_of(Dwfl_Module* module, Dwarf_Addr pc, Dwarf_Addr& bias) {
  if (Dwarf_Die* unit = ::dwfl_module_addrdie(module, pc, &bias)) return unit;
  Dwarf_Die* unit = nullptr;
  while ((unit = ::dwfl_module_nextcu(module, unit, &bias)) != nullptr) {
    if (::dwarf_haspc(unit, pc - bias) > 0) return unit;
  }
  return nullptr;
}

void set_line(Frame& frame, Dwarf_Die* unit, Dwarf_Addr pc) {
  Dwarf_Line* line = ::dwarf_getsrc_die(unit, pc);
  int number = 0;
  const char* file = line == nullptr ? nullptr : ::dwarf_linesrc(line, nullptr, nullptr);
  if (file == nullptr || ::dwarf_lineno(line, &number) != 0) return;
  frame.file = file;
  frame.line = number;
}

// Sets the line of the frame to where the inlined function was called.
void set_call_site(Frame& frame, Dwarf_Die* inlined) {
  Dwarf_Attribute attribute;
  Dwarf_Word file = 0;
  Dwarf_Word line = 0;
  frame.file.clear();
  frame.line = 0;
  Dwarf_Die unit;
  Dwarf_Files* files = nullptr;
  if (::dwarf_formudata(::dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) != 0 ||
      ::dwarf_formudata(::dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) != 0 ||
      ::dwarf_diecu(inlined, &unit, nullptr, nullptr) == nullptr || ::dwarf_getsrcfiles(&unit, &files, nullptr) != 0) {
    return;
  }
  const char* name = ::dwarf_filesrc(files, file, nullptr, nullptr);
  if (name == nullptr) return;
  frame.file = name;
  frame.line = static_cast<int>(line);
}

std::string name_of(Dwarf_Die* function) {
  Dwarf_Attribute attribute;
  if (Dwarf_Attribute* linkage = ::dwarf_attr_integrate(function, DW_AT_linkage_name, &attribute)) {
    if (const char* name = ::dwarf_formstring(linkage)) return demangled(name);
  }
  const char* name = ::dwarf_diename(function);
  return name == nullptr ? "" : name;
}

// Appends inlined calls to `out`, innermost first, and gives `frame` the name and line of the function that contains
// them.
void name_scopes(Dwarf_Die* unit, Dwarf_Addr pc, Frame& frame, std::vector<Frame>& out) {
  // dwarf_getscopes() follows the source text, from an inlined function to its file; dwarf_getscopes_die() follows the
  // code, from an inlined function to its caller.
  Dwarf_Die* found = nullptr;
  if (::dwarf_getscopes(unit, pc, &found) <= 0) return;
  const std::unique_ptr<Dwarf_Die, decltype(&::free)> innermost(found, ::free);
  const int count = ::dwarf_getscopes_die(innermost.get(), &found);
  const std::unique_ptr<Dwarf_Die, decltype(&::free)> scopes(count > 0 ? found : nullptr, ::free);
  for (int i = 0; i < count; ++i) {
    Dwarf_Die* scope = scopes.get() + i;
    const int tag = ::dwarf_tag(scope);
    if (tag == DW_TAG_inlined_subroutine) {
      Frame copy = frame;
      copy.function = name_of(scope);
      copy.inlined = true;
      out.push_back(std::move(copy));
      set_call_site(frame, scope);
    } else if (tag == DW_TAG_subprogram) {
      if (frame.function.empty()) frame.function = name_of(scope);
      return;
    }
  }
}

void Symbols::explain(Frame frame, bool is_return_address, std::vector<Frame>& out) {
  if (Dwfl_Module* module = module_of(frame); module != nullptr) {
    // A return address can belong to the next line or function, when the call is the last instruction of its own.
    const Dwarf_Addr pc = frame.address - (is_return_address ? 1 : 0);
    frame.function = demangled(::dwfl_module_addrname(module, pc));
    Dwarf_Addr bias = 0;
    if (Dwarf_Die* unit = unit_of(module, pc, bias)) {
      set_line(frame, unit, pc - bias);
      name_scopes(unit, pc - bias, frame, out);
    }
  }
  out.push_back(std::move(frame));
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 16 * 1024> buffer;
  ssize_t size = 0;
  while ((size = ::read(fd, buffer.data(), buffer.size())) > 0)
    text.append(buffer.data(), static_cast<std::size_t>(size));
  return text;
}

}  // namespace

std::vector<Frame> add_names(const std::vector<Frame>& frames) {
  Symbols symbols;
  std::vector<Frame> out;
  for (std::size_t i = 0; i < frames.size(); ++i) symbols.explain(frames[i], i > 0, out);
  return out;
}

int run_symbolize() {
  ::unsetenv("DEBUGINFOD_URLS");       // libdw must not contact a debuginfod server
  ::setpriority(PRIO_PROCESS, 0, 10);  // yield the processor to the workers
  const auto frames = frames_from_json(parse_json(read_all(kFramesInFd)));
  const std::string text = dump_json(to_json(add_names(frames)));
  std::string_view left = text;
  while (!left.empty()) {
    const ssize_t written = ::write(kFramesOutFd, left.data(), left.size());
    if (written <= 0) return 1;
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace pronghorn::supervisor
