// Lets the clients of these tests, which speak plain text, talk to a TLS server.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "support/clients/address.h"

namespace pronghorn::test {

// Listens on a port of its own; each connection to it becomes a TLS connection to the server. A client that finishes sending
// sends close_notify; the server's close_notify is the end of what the client reads. A connection that ends without one
// is reset, so a test that expects an orderly end fails.
class TlsTunnel {
 public:
  // `server`: where it listens with TLS. `preface`: bytes that begin each connection, before TLS. `protocols`: ALPN, each
  // after its length; empty: none. Any certificate will do. Throws std::runtime_error.
  explicit TlsTunnel(Address server, std::string preface = {}, const std::string& protocols = {});
  TlsTunnel(const TlsTunnel&) = delete;
  TlsTunnel& operator=(const TlsTunnel&) = delete;
  ~TlsTunnel();

  [[nodiscard]] const Address& address() const noexcept { return address_; }
  // How many of its connections have resumed a session of an earlier one.
  [[nodiscard]] int resumed() const noexcept { return resumed_; }

 private:
  void accept_all();
  void serve(int local);
  [[nodiscard]] int connect() const;

  Address server_;
  std::string preface_;
  Address address_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  int listener_ = -1;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> resumed_ = 0;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace pronghorn::test
