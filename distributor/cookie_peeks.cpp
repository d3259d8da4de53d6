#include "distributor/cookie_peeks.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include "distributor/cookie_look.h"

namespace pronghorn::distributor {

CookiePeeks::CookiePeeks(uv_loop_t* loop, std::string cookie, std::function<void(Client client)> found)
    : loop_(loop), cookie_(std::move(cookie)), found_(std::move(found)), look_(loop, [this] { look_again(); }) {}

void CookiePeeks::add(Client client) {
  if (look(client)) return found_(std::move(client));
  const auto peeked = peeked_.insert(peeked_.end(), Peeked{std::move(client), monotonic_ms() + kPatienceMs, nullptr});
  try {
    peeked->first_bytes = std::make_unique<supervisor::Poll>(loop_, peeked->client.fd.get(), [this, peeked] {
      peeked->first_bytes->stop();  // the bytes stay in the socket, so polling on would spin
      if (look(peeked->client)) give(peeked);
    });
    peeked->first_bytes->start();
  } catch (const std::exception&) {
    // look_again() does it.
  }
  look_.start(kLookEvery, kLookEvery);
}

// True when the client's key is final.
bool CookiePeeks::look(Client& client) const {
  std::array<char, kMostBytes> bytes;
  const ssize_t size = ::recv(client.fd.get(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (size < 0) return errno != EAGAIN && errno != EINTR;
  const auto length = static_cast<std::size_t>(size);
  const CookieLook found = find_cookie({bytes.data(), length}, cookie_);
  if (!found.value.empty()) client.key = hash_key(found.value);
  return found.complete || size == 0 || length == bytes.size();
}

void CookiePeeks::look_again() {
  const std::uint64_t now = monotonic_ms();
  for (auto each = peeked_.begin(); each != peeked_.end();) {
    const bool done = look(each->client) || now >= each->deadline_ms;
    each = done ? give(each) : std::next(each);
  }
  if (peeked_.empty()) look_.stop();
}

// Returns the next one.
std::list<CookiePeeks::Peeked>::iterator CookiePeeks::give(std::list<Peeked>::iterator peeked) {
  peeked->first_bytes.reset();
  Client client = std::move(peeked->client);
  const auto next = peeked_.erase(peeked);
  found_(std::move(client));
  return next;
}

}  // namespace pronghorn::distributor
