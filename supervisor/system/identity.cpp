#include "supervisor/system/identity.h"

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "supervisor/system/exit_status.h"

namespace pronghorn::supervisor {
namespace {

void check(long result, const char* what) {
  if (result != 0) throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

std::optional<Identity> find_identity(const std::string& user, const std::string& group) {
  if (user.empty() && group.empty()) return std::nullopt;
  Identity identity{user, ::geteuid(), ::getegid()};
  if (!user.empty()) {
    const passwd* const found = ::getpwnam(user.c_str());
    if (found == nullptr) throw ConfigurationError(fmt::format("user {}: no such user; create it with useradd", user));
    identity.uid = found->pw_uid;
    identity.gid = found->pw_gid;
  }
  if (!group.empty()) {
    const struct group* const found = ::getgrnam(group.c_str());
    if (found == nullptr) {
      throw ConfigurationError(fmt::format("group {}: no such group; create it with groupadd", group));
    }
    identity.gid = found->gr_gid;
  }
  if (identity.uid == ::geteuid() && identity.gid == ::getegid()) return std::nullopt;
  if (::geteuid() != 0) {
    const char* const option = user.empty() ? "group" : "user";
    throw ConfigurationError(fmt::format("{} {}: only root can change it; start the server as root, or as that {}",
                                         option, user.empty() ? group : user, option));
  }
  return identity;
}

void create_directory_for(const Identity& identity, const std::string& path, const char* option) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const bool last = slash == std::string::npos;
    const std::string part = path.substr(0, slash);
    const bool created = ::mkdir(part.c_str(), last ? 0700 : 0755) == 0;
    if (!created && errno != EEXIST) {
      throw ConfigurationError(fmt::format("{} {}: cannot create {}: {}", option, path, part, std::strerror(errno)));
    }
    if (last) {
      if (created && ::lchown(path.c_str(), identity.uid, identity.gid) != 0) {
        throw ConfigurationError(fmt::format("{} {}: cannot change its owner: {}", option, path, std::strerror(errno)));
      }
      return;
    }
  }
}

void adopt(const Identity& identity) {
  check(::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "cannot keep capabilities");
  check(identity.user.empty() ? ::setgroups(1, &identity.gid) : ::initgroups(identity.user.c_str(), identity.gid),
        "cannot set groups");
  check(::setresgid(identity.gid, identity.gid, identity.gid), "cannot change the group");
  check(::setresuid(identity.uid, identity.uid, identity.uid), "cannot change the user");

  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  check(::syscall(SYS_capget, &header, sets.data()), "cannot read capabilities");
  const std::uint32_t bind = sets[0].permitted & (1U << CAP_NET_BIND_SERVICE);
  const std::uint32_t read = sets[0].permitted & (1U << CAP_DAC_READ_SEARCH);
  sets = {};
  sets[0] = {.effective = bind, .permitted = bind | read, .inheritable = bind};
  check(::syscall(SYS_capset, &header, sets.data()), "cannot drop capabilities");
  if (bind != 0) {
    check(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0),
          "cannot keep CAP_NET_BIND_SERVICE");
  }
  // Changing the user cleared it: /proc/self would belong to root.
  check(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "cannot set dumpable");
}

}  // namespace pronghorn::supervisor
