// Privileges of a process beyond the rights of its user.
#pragma once

namespace pronghorn {

// Gives up every capability and sets PR_SET_NO_NEW_PRIVS, so that no program executed from here can gain any: neither
// by set-user-ID nor by file capabilities. A process of root then is an ordinary user that owns root's files.
//
// Context: every child of the supervisor, before it loads or executes anything else. Throws std::system_error.
void drop_privileges();

}  // namespace pronghorn
