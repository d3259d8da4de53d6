#include "worker/tokens/token_memory.h"

#include <string>
#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kOverhead = 512;  // of one entry: nodes, strings

}  // namespace

std::shared_ptr<RememberedToken> TokenMemory::find(const Sha256Digest& digest, std::int64_t now_s) {
  const auto found = by_digest_.find(digest);
  if (found == by_digest_.end()) return nullptr;
  const auto entry = found->second;
  if (entry->accepted_until <= now_s) {
    forget(entry);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  return entry->token;
}

std::shared_ptr<RememberedToken> TokenMemory::remember(const Sha256Digest& digest, VerifiedToken token,
                                                       std::int64_t accepted_until) {
  if (const auto known = by_digest_.find(digest); known != by_digest_.end()) forget(known->second);
  // The claims are what varies; id, subject and scopes are copies of parts of them. A scope may be a single letter.
  const std::size_t bytes = kOverhead + 3 * token.claims.size() + token.scopes.size() * sizeof(std::string);
  auto remembered = std::make_shared<RememberedToken>(RememberedToken{.token = std::move(token)});
  entries_.push_front({digest, remembered, accepted_until, bytes});
  by_digest_.emplace(digest, entries_.begin());
  bytes_ += bytes;
  while (entries_.size() > kMaxTokens || bytes_ > kMaxBytes) forget(std::prev(entries_.end()));
  return remembered;
}

void TokenMemory::forget(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  by_digest_.erase(entry->digest);
  entries_.erase(entry);
}

void TokenMemory::clear() {
  by_digest_.clear();
  entries_.clear();
  bytes_ = 0;
}

}  // namespace pronghorn::worker
