// Clients whose session cookie is looked for in their first bytes, without consuming them, for Balance::cookie_hash.
//
// Context: distributor, main thread.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "distributor/links.h"
#include "supervisor/system/uv_handles.h"

namespace pronghorn::distributor {

class CookiePeeks {
 public:
  // `found` gets each client, once, with the key of its cookie. Without a cookie, or when the bytes do not come within
  // kPatienceMs, the key stays as it is.
  CookiePeeks(uv_loop_t* loop, std::string cookie, std::function<void(Client client)> found);
  CookiePeeks(const CookiePeeks&) = delete;
  CookiePeeks& operator=(const CookiePeeks&) = delete;

  // May call `found` at once.
  void add(Client client);
  [[nodiscard]] std::size_t size() const noexcept { return peeked_.size(); }

 private:
  static constexpr std::uint64_t kPatienceMs = 100;
  static constexpr std::chrono::milliseconds kLookEvery{10};
  static constexpr std::size_t kMostBytes = 8 * 1024;

  struct Peeked {
    Client client;
    std::uint64_t deadline_ms;
    std::unique_ptr<supervisor::Poll> first_bytes;  // destroyed before the descriptor: declared after it
  };

  [[nodiscard]] bool look(Client& client) const;
  void look_again();
  std::list<Peeked>::iterator give(std::list<Peeked>::iterator peeked);

  uv_loop_t* loop_;
  std::string cookie_;
  std::function<void(Client)> found_;
  std::list<Peeked> peeked_;
  supervisor::Timer look_;  // runs while a client is here
};

}  // namespace pronghorn::distributor
