// The verified tokens that a worker remembers, so that it checks a signature once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "worker/crypto/jwt/jwt.h"
#include "worker/crypto/sha256.h"

namespace pronghorn::worker {

struct RememberedToken {
  VerifiedToken token;
  bool revoked = false;                                     // never becomes false again
  std::chrono::steady_clock::time_point unrevoked_until{};  // no need to ask Redis before
};

// Least recently used tokens are forgotten first. The key is the SHA-256 of the token, so memory holds no token that
// could be used, and no stranger can make two collide.
//
// Context: loop thread.
class TokenMemory {
 public:
  static constexpr std::size_t kMaxTokens = 10'000;
  static constexpr std::size_t kMaxBytes = 16 * 1024 * 1024;  // of tokens and their claims, about

  [[nodiscard]] Sha256Digest digest(std::string_view token) { return sha256_(token); }

  // Null if the token is not known, or has expired.
  [[nodiscard]] std::shared_ptr<RememberedToken> find(const Sha256Digest& digest, std::int64_t now_s);
  // `accepted_until`: in seconds since the epoch. Returns what is remembered.
  std::shared_ptr<RememberedToken> remember(const Sha256Digest& digest, VerifiedToken token,
                                            std::int64_t accepted_until);
  // Calls visit(RememberedToken&) for all.
  template <class Visit>
  void for_each(Visit visit) {
    for (Entry& entry : entries_) visit(*entry.token);
  }
  void clear();
  [[nodiscard]] std::size_t size() const noexcept { return by_digest_.size(); }

 private:
  struct Entry {
    Sha256Digest digest;
    std::shared_ptr<RememberedToken> token;
    std::int64_t accepted_until;
    std::size_t bytes;
  };
  struct FirstBytes {
    std::size_t operator()(const Sha256Digest& digest) const noexcept {
      std::size_t hash = 0;
      std::memcpy(&hash, digest.data(), sizeof hash);
      return hash;
    }
  };
  void forget(std::list<Entry>::iterator entry);

  ShortSha256 sha256_;
  std::list<Entry> entries_;  // the one used last first
  std::unordered_map<Sha256Digest, std::list<Entry>::iterator, FirstBytes> by_digest_;
  std::size_t bytes_ = 0;
};

}  // namespace pronghorn::worker
