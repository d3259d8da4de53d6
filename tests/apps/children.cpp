// Starts programs and responds with what they have inherited.
#include <pronghorn/pronghorn.h>

#include <array>
#include <cstdio>
#include <string>

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

// The descriptors of the shell.
constexpr const char* kDescriptors = "ls -l /proc/$$/fd; true";  // the shell stays
constexpr const char* kSignals = "grep -E '^Sig(Blk|Ign)' /proc/self/status";

}  // namespace

PRONGHORN_APP(app) {
  app.get("/descriptors", [](Request&) { return text(output_of(kDescriptors)); });
  app.get("/signals", [](Request&) { return text(output_of(kSignals)); });
  app.get("/signals/offloaded",
          [](Request&) -> Task<Response> { co_return text(co_await offload([] { return output_of(kSignals); })); });
}
