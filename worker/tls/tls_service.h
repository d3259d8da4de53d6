// What all TLS connections of a worker share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string_view>

#include "common/ipc/scoreboard.h"
#include "common/tls/server_context.h"
#include "worker/net/socket/tls_facts.h"
#include "worker/tls/failure.h"
#include "worker/tls/kernel/unsent_records.h"
#include "worker/tls/tls_buffers.h"

namespace pronghorn::worker {

// Context:   loop thread.
// Ownership: the worker. Outlives every connection.
class TlsService {
 public:
  // Somebody who waits for the permission to begin a handshake.
  class Applicant {
   public:
    virtual void may_begin() = 0;

   protected:
    ~Applicant() = default;
  };
  using Place = std::list<Applicant*>::iterator;

  // `handshakes`: how many may begin per second; 0: any number. Throws as TlsServerContext. The references must outlive
  // the service.
  TlsService(const TlsCredentials& credentials, const TlsServerContext::Options& options, std::uint32_t handshakes,
             WorkerRow& row);

  [[nodiscard]] const TlsServerContext& context() const noexcept { return context_; }
  [[nodiscard]] TlsBuffers& buffers() noexcept { return buffers_; }

  // Whether the kernel goes on with connections after their handshake (worker/net/socket/kernel_tls.h), so that they
  // outlive this worker. Not at first.
  void prefer_kernel() noexcept { prefers_kernel_ = true; }
  [[nodiscard]] bool prefers_kernel() const noexcept { return prefers_kernel_; }
  // Connections that the kernel encrypts and that are about to end.
  [[nodiscard]] UnsentRecords& unsent() noexcept { return unsent_; }

  // Whether a handshake may begin now. False: wait().
  [[nodiscard]] bool begin() noexcept;
  // In order of arrival. The place is valid until may_begin() is called, or leave().
  [[nodiscard]] Place wait(Applicant& applicant);
  void leave(Place place) noexcept { waiting_.erase(place); }
  // To be called every kTickMs.
  void tick(std::uint64_t ticks);

  void established(const TlsFacts& facts) noexcept;
  // Counts it; logs one line a minute, with the last reason. Clients that have left, and what port scanners send, are
  // not worth a line.
  void failed(TlsFailure failure, std::string_view peer);

 private:
  TlsServerContext context_;
  TlsBuffers buffers_;
  UnsentRecords unsent_;
  WorkerRow& row_;
  std::uint32_t per_second_;
  std::uint64_t allowed_;  // handshakes that may begin now, in units of 1/1000
  std::list<Applicant*> waiting_;
  std::uint64_t next_report_ms_ = 0;
  std::uint64_t failed_ = 0;  // since the last line
  bool prefers_kernel_ = false;
};

}  // namespace pronghorn::worker
