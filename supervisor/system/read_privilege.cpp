#include "supervisor/system/read_privilege.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace pronghorn::supervisor {
namespace {

constexpr std::uint32_t kRead = 1U << CAP_DAC_READ_SEARCH;
using CapabilitySets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

bool get_sets(CapabilitySets& sets) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  return ::syscall(SYS_capget, &header, sets.data()) == 0;
}

bool put_sets(const CapabilitySets& sets) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  return ::syscall(SYS_capset, &header, sets.data()) == 0;
}

void set_bit(std::uint32_t& set, bool on) noexcept { on ? set |= kRead : set &= ~kRead; }

void set_effective(bool on) noexcept {
  CapabilitySets sets{};
  if (!get_sets(sets)) return;
  set_bit(sets[0].effective, on);
  static_cast<void>(put_sets(sets));
}

}  // namespace

ReadPrivilege::ReadPrivilege() noexcept : raised_(available()) {
  if (raised_) set_effective(true);
}

ReadPrivilege::~ReadPrivilege() {
  if (raised_) set_effective(false);
}

bool ReadPrivilege::available() noexcept {
  CapabilitySets sets{};
  return ::geteuid() != 0 && get_sets(sets) && (sets[0].permitted & kRead) != 0;
}

void ReadPrivilege::give_up() noexcept {
  if (::geteuid() == 0) return;
  CapabilitySets sets{};
  if (!get_sets(sets)) return;
  for (std::uint32_t* set : {&sets[0].effective, &sets[0].permitted, &sets[0].inheritable}) set_bit(*set, false);
  static_cast<void>(put_sets(sets));
}

// A program without file capabilities gets what is ambient, and that must be inheritable.
void ReadPrivilege::pass_on(bool pass) noexcept {
  CapabilitySets sets{};
  if (!available() || !get_sets(sets)) return;
  if (!pass) static_cast<void>(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_DAC_READ_SEARCH, 0, 0));
  set_bit(sets[0].inheritable, pass);
  if (put_sets(sets) && pass) {
    static_cast<void>(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0));
  }
}

void ReadPrivilege::settle() noexcept {
  if (!available()) return;
  pass_on(false);
  set_effective(false);
}

}  // namespace pronghorn::supervisor
