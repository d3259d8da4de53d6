// Starts programs and responds with what they have inherited. Prints to the standard streams, and closes descriptors
// that are not its own.
#include <pronghorn/pronghorn.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

using namespace pronghorn;

namespace {

std::string output_of(const char* command) {
  std::string output;
  FILE* pipe = ::popen(command, "r");
  if (pipe == nullptr) return "popen failed";
  std::array<char, 4096> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) output += buffer.data();
  ::pclose(pipe);
  return output;
}

// Closes the first descriptor of this process that is such a thing, as /proc/self/fd names it. Its number.
int close_foreign(std::string_view what) {
  for (int fd = 3; fd < 64; ++fd) {
    std::array<char, 64> name{};
    if (::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name.data(), name.size() - 1) < 0) continue;
    if (what == name.data()) return ::close(fd) == 0 ? fd : -1;
  }
  return -1;
}

// The descriptors of the shell.
constexpr const char* kDescriptors = "ls -l /proc/$$/fd; true";  // the shell stays
constexpr const char* kSignals = "grep -E '^Sig(Blk|Ign)' /proc/self/status";

}  // namespace

PRONGHORN_APP(app) {
  app.get("/descriptors", [](Request&) { return text(output_of(kDescriptors)); });
  app.get("/environment", [](Request&) { return text(output_of("env")); });
  app.get("/print", [](Request&) {
    for (int i = 0; i < 1000; ++i) {
      std::printf("%0999d\n", i);
      std::fprintf(stderr, "%0999d\n", i);
    }
    std::fflush(stdout);
    return text("printed");
  });
  app.post("/close", [](Request& request) { return text(std::to_string(close_foreign(*request.query("what")))); });
  app.get("/signals", [](Request&) { return text(output_of(kSignals)); });
  app.get("/signals/offloaded",
          [](Request&) -> Task<Response> { co_return text(co_await offload([] { return output_of(kSignals); })); });
}
