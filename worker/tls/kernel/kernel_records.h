// What a TlsStream knows of the kernel that encrypts for it, or is to.
#pragma once

#include <cstdint>
#include <optional>

#include "worker/tls/kernel/traffic_secrets.h"
#include "worker/tls/kernel/unsent_records.h"

namespace pronghorn::worker {

struct KernelRecords {
  KernelRecords(int descriptor, UnsentRecords& unsent_records) : fd(descriptor), unsent(unsent_records) {}

  int fd;
  UnsentRecords& unsent;
  std::optional<TrafficSecrets> secrets;  // until the kernel has the keys
  std::uint64_t next = 0;                 // number of the record that is sent next
  std::uint64_t base = 0;                 // LedgerRecords::base
  std::optional<UnsentRecords::Place> place;
  int looks = 0;  // how often it has looked whether it can end
};

}  // namespace pronghorn::worker
