// The user and group that the server runs as when root starts it.
//
// Context: supervisor, main thread, at start.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace pronghorn::supervisor {

struct Identity {
  std::string user;  // empty: the user stays the same
  uid_t uid = 0;
  gid_t gid = 0;
};

// Looks up the options `user` and `group`; without a group, the user's own. nullopt if both are empty, or if the
// process already runs as them. Throws ConfigurationError if one does not exist, or if the process is not root.
[[nodiscard]] std::optional<Identity> find_identity(const std::string& user, const std::string& group);

// Creates `path` with its parents unless it exists, and gives it to the identity: after adopt() the server can no
// longer create folders such as /run/pronghorn. Throws ConfigurationError; `option` names the path in it.
void create_directory_for(const Identity& identity, const std::string& path, const char* option);

// Switches permanently to the identity: user, group and the user's other groups. Of root's capabilities only
// two remain, if root has them. CAP_NET_BIND_SERVICE: slots that are added later bind ports below 1024, too, and so does
// the program that replaces this one. Children must call drop_privileges(). CAP_DAC_READ_SEARCH, which is not used except
// by ReadPrivilege, nor inherited: call ReadPrivilege::give_up() if it is not needed. Throws std::system_error.
void adopt(const Identity& identity);

}  // namespace pronghorn::supervisor
