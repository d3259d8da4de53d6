// Clients that come at a fixed rate and give up after half a second: see support/clients/impatient_clients.h.
//
//   impatient_client PORT TARGET RATE SECONDS
//   prints {"sent":N,"served":N,"refused":N,"gave_up":N,"failed":N,"p50_ms":…,"p99_ms":…}; latencies of those served
#include "support/clients/impatient_clients.h"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: impatient_client PORT TARGET RATE SECONDS\n", stderr);
    return 2;
  }
  const auto report = pronghorn::test::run_impatient_clients(
      {.port = static_cast<std::uint16_t>(std::atoi(argv[1])),
       .target = argv[2],
       .rate = std::atof(argv[3]),
       .duration = std::chrono::milliseconds(static_cast<int>(1000 * std::atof(argv[4])))});
  std::printf(
      "{\"sent\":%zu,\"served\":%zu,\"refused\":%zu,\"gave_up\":%zu,\"failed\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
      report.sent, report.served(), report.refused, report.gave_up, report.failed, report.percentile(50),
      report.percentile(99));
}
