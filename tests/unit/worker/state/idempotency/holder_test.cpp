#include "worker/state/idempotency/holder.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/catch.h"
#include "support/eventually.h"

using namespace pronghorn::worker;
using namespace std::chrono_literals;
using pronghorn::test::eventually;

namespace {

struct Child {
  pid_t pid;
  std::string name;
};

// A process that waits to be killed, and its name.
Child start_child() {
  int names[2];
  REQUIRE(::pipe(names) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::string name = name_this_process();
    if (::write(names[1], name.data(), name.size()) < 0) ::_exit(1);
    for (;;) ::pause();
  }
  char name[256];
  const ssize_t size = ::read(names[0], name, sizeof name);
  ::close(names[0]);
  ::close(names[1]);
  REQUIRE(size > 0);
  return {pid, std::string(name, static_cast<std::size_t>(size))};
}

}  // namespace

TEST_CASE("a process that lives is a holder that lives", "[idempotency]") {
  const std::string self = name_this_process();
  CHECK(self == name_this_process());
  CHECK(state_of_holder(self, self) == HolderState::alive);
}

TEST_CASE("a process that was killed has ended, before and after it is reaped", "[idempotency]") {
  const std::string self = name_this_process();
  const Child child = start_child();
  CHECK(child.name != self);
  CHECK(state_of_holder(child.name, self) == HolderState::alive);
  REQUIRE(::kill(child.pid, SIGKILL) == 0);
  CHECK(eventually(5s, [&] { return state_of_holder(child.name, self) == HolderState::ended; }));
  REQUIRE(::waitpid(child.pid, nullptr, 0) == child.pid);
  CHECK(state_of_holder(child.name, self) == HolderState::ended);
}

TEST_CASE("another process with the id of a holder is not the holder", "[idempotency]") {
  const std::string self = name_this_process();
  const std::string earlier = self.substr(0, self.rfind(':')) + ":1";
  CHECK(state_of_holder(earlier, self) == HolderState::ended);
}

TEST_CASE("of holders on other machines, and of texts that are no holders, nothing is known", "[idempotency]") {
  const std::string self = name_this_process();
  const std::string machine = self.substr(0, self.find(':'));
  for (const std::string& holder :
       {"x" + self, std::string(), std::string("a"), std::string("::"), machine, machine + ":", machine + ":1",
        machine + ":-1:1", machine + ":0:1", machine + ":1x:1", machine + ":99999999999999:1", machine + "::1"}) {
    CAPTURE(holder);
    CHECK(state_of_holder(holder, self) == HolderState::elsewhere);
  }
}
