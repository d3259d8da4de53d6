#include "worker/runtime/plugin_loader.h"

#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "pronghorn/plugin.h"

namespace pronghorn::worker {

namespace {

// dlopen's messages for files that are not shared objects are hard to understand, so these cases are checked first.
void check_file(const std::filesystem::path& file, const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) {
    if (!error) error = std::make_error_code(std::errc::no_such_file_or_directory);
    throw LoadError(fmt::format("{}: {}", path.native(), error.message()));
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw LoadError(fmt::format("{} is not a file; give the application's .so", path.native()));
  }
  std::ifstream bytes(file, std::ios::binary);
  if (!bytes) throw LoadError(fmt::format("{}: {}", path.native(), std::strerror(errno)));
  std::array<char, SELFMAG> magic{};
  bytes.read(magic.data(), magic.size());
  if (bytes.gcount() != SELFMAG || std::memcmp(magic.data(), ELFMAG, SELFMAG) != 0) {
    throw LoadError(fmt::format("{} is not a shared library; give the application's .so", path.native()));
  }
}

// Detects a library that was only partly copied: loading it would end the process with SIGBUS.
void check_size(const std::filesystem::path& file, const std::filesystem::path& path) {
  std::ifstream bytes(file, std::ios::binary);
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(file, error);
  ElfW(Ehdr) header{};
  std::uint64_t needed = sizeof header;
  if (bytes.read(reinterpret_cast<char*>(&header), sizeof header) && header.e_phentsize == sizeof(ElfW(Phdr))) {
    needed = std::max<std::uint64_t>(needed, header.e_shoff + std::uint64_t{header.e_shentsize} * header.e_shnum);
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      ElfW(Phdr) segment{};
      const std::uint64_t at = header.e_phoff + i * sizeof segment;
      needed = std::max<std::uint64_t>(needed, at + sizeof segment);
      if (!bytes.seekg(static_cast<std::streamoff>(at)) ||
          !bytes.read(reinterpret_cast<char*>(&segment), sizeof segment)) {
        break;
      }
      needed = std::max<std::uint64_t>(needed, segment.p_offset + segment.p_filesz);
    }
  }
  if (error || size >= needed) return;
  throw LoadError(fmt::format("{} is truncated: it has {} bytes of {}; copy it again", path.native(), size, needed));
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

struct CloseLibrary {
  void operator()(void* library) const noexcept { ::dlclose(library); }
};

}  // namespace

// Reads only fields that the smaller descriptor of an older release has, until its size is known.
void check_descriptor(const std::string& name, const PluginDescriptor& descriptor) {
  if (descriptor.api_version != kApiVersion) {
    throw LoadError(fmt::format(
        "{}: built for Pronghorn API {}, this server has API {}; rebuild it with the headers of this server", name,
        descriptor.api_version, kApiVersion));
  }
  if (descriptor.size < sizeof(PluginDescriptor)) {
    throw LoadError(
        fmt::format("{}: its descriptor has {} bytes, this server needs {}; rebuild it with the headers of this server",
                    name, descriptor.size, sizeof(PluginDescriptor)));
  }
  if (descriptor.abi == nullptr || std::strcmp(descriptor.abi, PRONGHORN_ABI) != 0) {
    throw LoadError(
        fmt::format("{}: built with another C++ ABI ({}) than this server ({}); build both with the same compiler and "
                    "settings",
                    name, descriptor.abi == nullptr ? "unknown" : descriptor.abi, PRONGHORN_ABI));
  }
  if (descriptor.setup == nullptr) throw LoadError(fmt::format("{}: it has no setup function", name));
}

auto load_plugin(const std::string& path, const std::string& copy) -> void (*)(App&) {
  // dlopen searches the system's library folders for a name without a slash.
  const std::filesystem::path known = std::filesystem::absolute(path);
  const std::filesystem::path file = copy.empty() ? known : std::filesystem::absolute(copy);
  check_file(file, known);
  check_size(file, known);
  const std::string name = known.filename();
  std::unique_ptr<void, CloseLibrary> library(::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!library) {
    std::string reason = one_line(::dlerror());  // starts with the file's path
    if (reason.starts_with(file.native())) reason.replace(0, file.native().size(), known.native());
    throw LoadError(fmt::format("{} cannot be loaded: {}", name, reason));
  }
  void* const symbol = ::dlsym(library.get(), kPluginSymbol);
  if (symbol == nullptr) {
    throw LoadError(
        fmt::format("{} is not a Pronghorn application: it does not export {}; use PRONGHORN_APP in one of its "
                    "sources",
                    name, kPluginSymbol));
  }
  const auto describe = reinterpret_cast<const PluginDescriptor* (*)()>(symbol);
  const PluginDescriptor* const descriptor = describe();
  if (descriptor == nullptr) throw LoadError(fmt::format("{}: its {}() returned null", name, kPluginSymbol));
  check_descriptor(name, *descriptor);
  static_cast<void>(library.release());  // never unloaded, see the header
  return descriptor->setup;
}

}  // namespace pronghorn::worker
