#include "common/tls/ticket_keys.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "support/catch.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

constexpr TicketKeys::Time kStart{1'000'000};

TicketKey current(const TicketKeys& keys) {
  const auto key = keys.current();
  REQUIRE(key);
  return *key;
}

TicketKeys worker_of(const TicketKeys& keys) { return TicketKeys::attach(::fcntl(keys.fd(), F_DUPFD_CLOEXEC, 0)); }

}  // namespace

TEST_CASE("a ticket of one worker is opened by every other worker") {
  const TicketKeys supervisor = TicketKeys::create(kStart);
  const TicketKeys first = worker_of(supervisor);
  const TicketKeys second = worker_of(supervisor);
  const TicketKey sealed_with = current(first);
  const auto found = second.find(sealed_with.name);
  REQUIRE(found);
  CHECK(found->key.aes == sealed_with.aes);
  CHECK(found->key.hmac == sealed_with.hmac);
  CHECK_FALSE(found->renew);
}

TEST_CASE("a new key seals tickets every 12 hours, and workers see it at once") {
  TicketKeys supervisor = TicketKeys::create(kStart);
  const TicketKeys worker = worker_of(supervisor);
  const TicketKey first = current(worker);
  CHECK_FALSE(supervisor.rotate(kStart + 12h - 1s));
  CHECK(current(worker).name == first.name);
  CHECK(supervisor.rotate(kStart + 12h));
  CHECK(current(worker).name != first.name);
  CHECK(current(worker).aes != first.aes);
  CHECK(current(worker).hmac != first.hmac);
}

TEST_CASE("a key opens tickets for 24 hours after it has sealed the last one") {
  TicketKeys supervisor = TicketKeys::create(kStart);
  const TicketKeys worker = worker_of(supervisor);
  const TicketKey first = current(worker);
  for (auto time = kStart; time < kStart + 36h; time += 1h) {
    static_cast<void>(supervisor.rotate(time));
    const auto found = worker.find(first.name);
    REQUIRE(found);
    CHECK(found->key.aes == first.aes);
    CHECK(found->renew == (time >= kStart + 12h));  // a ticket with an old key is exchanged
  }
  static_cast<void>(supervisor.rotate(kStart + 36h));
  CHECK_FALSE(worker.find(first.name));
}

TEST_CASE("keys of a server that slept for days are all forgotten") {
  TicketKeys supervisor = TicketKeys::create(kStart);
  const TicketKey first = current(supervisor);
  CHECK(supervisor.rotate(kStart + 100h));
  CHECK_FALSE(supervisor.find(first.name));
  CHECK(supervisor.find(current(supervisor).name));
}

TEST_CASE("the next image of the program continues with the same keys") {
  TicketKeys old_image = TicketKeys::create(kStart);
  const TicketKeys worker = worker_of(old_image);
  const TicketKey key = current(worker);
  TicketKeys new_image = TicketKeys::adopt(::fcntl(old_image.fd(), F_DUPFD_CLOEXEC, 0));
  CHECK(current(new_image).name == key.name);
  CHECK(new_image.rotate(kStart + 12h));
  CHECK(current(worker).name == current(new_image).name);
  CHECK(worker.find(key.name));
}

TEST_CASE("two servers have different ticket keys") {
  std::set<TicketKey::Name> names;
  for (int i = 0; i < 10; ++i) names.insert(current(TicketKeys::create(kStart)).name);
  CHECK(names.size() == 10);
}

TEST_CASE("memory that is not of ticket keys is refused") {
  const int small = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CHECK_THROWS_AS(TicketKeys::attach(small), std::runtime_error);
  const TicketKeys real = TicketKeys::create(kStart);
  const auto size = ::lseek(real.fd(), 0, SEEK_END);
  const int unsealed = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(::ftruncate(unsealed, size) == 0);
  CHECK_THROWS_AS(TicketKeys::attach(unsealed), std::runtime_error);
  const int unmarked = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(::ftruncate(unmarked, size) == 0);
  REQUIRE(::fcntl(unmarked, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  CHECK_THROWS_AS(TicketKeys::attach(unmarked), std::runtime_error);
  CHECK_THROWS_AS(TicketKeys::attach(-1), std::runtime_error);
}

TEST_CASE("damaged memory of ticket keys gives no keys, and the supervisor repairs it") {
  TicketKeys supervisor = TicketKeys::create(kStart);
  const TicketKeys worker = worker_of(supervisor);
  const auto size = static_cast<std::size_t>(::lseek(supervisor.fd(), 0, SEEK_END));
  const std::string garbage(size - 8, '\xff');  // all but the mark; every slot looks as if it were being written
  REQUIRE(::pwrite(supervisor.fd(), garbage.data(), garbage.size(), 8) == static_cast<ssize_t>(garbage.size()));
  CHECK_FALSE(worker.current());
  CHECK_FALSE(worker.find(TicketKey::Name{}));
  CHECK(supervisor.rotate(kStart));
  CHECK(worker.find(current(worker).name));
}

TEST_CASE("a name of another size finds no key") {
  const TicketKeys keys = TicketKeys::create(kStart);
  const TicketKey key = current(keys);
  CHECK_FALSE(keys.find({}));
  CHECK_FALSE(keys.find(std::span(key.name).first(15)));
}

TEST_CASE("keys that were moved from give no tickets") {
  TicketKeys keys = TicketKeys::create(kStart);
  const TicketKeys other = std::move(keys);
  CHECK_FALSE(keys.current());
  CHECK_FALSE(keys.find(current(other).name));
}

TEST_CASE("a worker reads whole keys while the supervisor rotates them") {
  TicketKeys supervisor = TicketKeys::create(kStart);
  const TicketKeys worker = worker_of(supervisor);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (auto time = kStart; !stop.load(); time += 12h) static_cast<void>(supervisor.rotate(time));
  });
  int torn = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto one = worker.current();
    if (!one) continue;
    const auto same = worker.find(one->name);  // nothing when it has expired since
    if (same && (same->key.aes != one->aes || same->key.hmac != one->hmac)) ++torn;
  }
  stop = true;
  writer.join();
  CHECK(torn == 0);
}
