// SHA-256 of a stream of bytes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "pronghorn/detail/export.h"

namespace pronghorn {

class PRONGHORN_API Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::string_view bytes);
  // The digest in 64 lower-case hex digits. Ends the computation: later calls give the same text.
  [[nodiscard]] std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
  std::string digest_;
};

}  // namespace pronghorn
