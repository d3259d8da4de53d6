#include "worker/process/crash/modules.h"

#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace pronghorn::worker {
namespace {

constexpr std::size_t aligned(std::size_t size) noexcept { return (size + 3) & ~std::size_t{3}; }

// The GNU build id among the notes of a loaded segment, see elf(5).
void find_build_id(const char* notes, std::size_t size, Module& module) noexcept {
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes, sizeof note);
    const std::size_t name = sizeof note;
    const std::size_t content = name + aligned(note.n_namesz);
    const std::size_t end = content + aligned(note.n_descsz);
    if (end > size) return;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes + name, "GNU", 4) == 0) {
      module.build_id_size = static_cast<std::uint32_t>(std::min<std::size_t>(note.n_descsz, module.build_id.size()));
      std::memcpy(module.build_id.data(), notes + content, module.build_id_size);
      return;
    }
    notes += end;
    size -= end;
  }
}

int add_module(dl_phdr_info* info, std::size_t, void* data) {
  auto& table = *static_cast<ModuleTable*>(data);
  const std::uint32_t count = table.count.load(std::memory_order_relaxed);
  if (count == kMaxModules) return 1;
  Module& module = table.modules[count];
  module.bias = info->dlpi_addr;
  module.begin = UINT64_MAX;
  module.end = 0;
  module.build_id_size = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    const std::uint64_t begin = info->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD) {
      module.begin = std::min<std::uint64_t>(module.begin, begin);
      module.end = std::max<std::uint64_t>(module.end, begin + segment.p_memsz);
    } else if (segment.p_type == PT_NOTE) {
      find_build_id(reinterpret_cast<const char*>(begin), segment.p_memsz, module);
    }
  }
  if (module.begin >= module.end) return 0;
  if (info->dlpi_name != nullptr && *info->dlpi_name != '\0') {
    copy_text(module.path, info->dlpi_name);
  } else if (count == 0) {  // the program itself is listed first, without a name
    const ssize_t size = ::readlink("/proc/self/exe", module.path, sizeof module.path - 1);
    module.path[std::max<ssize_t>(size, 0)] = '\0';
  } else {
    return 0;
  }
  table.count.store(count + 1, std::memory_order_release);
  return 0;
}

}  // namespace

void record_modules(ModuleTable& table) noexcept {
  table.count.store(0, std::memory_order_relaxed);
  ::dl_iterate_phdr(add_module, &table);
}

}  // namespace pronghorn::worker
