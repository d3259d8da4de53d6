// Clients that come at a fixed rate and give up after half a second: see support/clients/impatient_clients.h.
//
//   impatient_client PORT TARGET RATE SECONDS [FILE]
//   FILE: gets a line for each request served, with its scheduled time and its latency in milliseconds
//   prints {"sent":N,"served":N,"refused":N,"gave_up":N,"failed":N,"p50_ms":…,"p99_ms":…}; latencies of those served
#include "support/clients/impatient_clients.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    std::fputs("usage: impatient_client PORT TARGET RATE SECONDS [FILE]\n", stderr);
    return 2;
  }
  const auto report = pronghorn::test::run_impatient_clients(
      {.port = static_cast<std::uint16_t>(std::atoi(argv[1])),
       .target = argv[2],
       .rate = std::atof(argv[3]),
       .duration = std::chrono::milliseconds(static_cast<int>(1000 * std::atof(argv[4])))});
  if (argc == 6) {
    std::ofstream file(argv[5]);
    for (const auto& served : report.timeline) file << served.at_ms << ' ' << served.latency_ms << '\n';
  }
  std::printf(
      "{\"sent\":%zu,\"served\":%zu,\"refused\":%zu,\"gave_up\":%zu,\"failed\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
      report.sent, report.served(), report.refused, report.gave_up, report.failed, report.percentile(50),
      report.percentile(99));
}
