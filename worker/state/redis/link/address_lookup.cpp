#include "worker/state/redis/link/address_lookup.h"

#include <pthread.h>
#include <signal.h>

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace pronghorn::worker {
namespace {

AddressLookup::Addresses resolve(const std::string& host, const std::string& port, int flags, int& error) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  return {error == 0 ? found : nullptr, &::freeaddrinfo};
}

// Starts a detached thread that handles none of the process's signals.
template <class Work>
void start_thread(Work work) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread(std::move(work)).detach();
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

struct AddressLookup::Job {
  std::mutex mutex;
  uv_async_t* wake = nullptr;  // null: nobody waits for the result
  int error = 0;
  Addresses addresses{nullptr, &::freeaddrinfo};
};

AddressLookup::~AddressLookup() {
  if (!job_) return;
  const std::scoped_lock lock(job_->mutex);
  job_->wake = nullptr;
}

std::string AddressLookup::start(const std::string& host, int port, Done done) {
  done_ = std::move(done);
  if (job_) return {};
  auto wake = std::make_unique<uv_async_t>();
  const int error = uv_async_init(loop_, wake.get(), [](uv_async_t* async) {
    if (async->data != nullptr) static_cast<AddressLookup*>(async->data)->finished();
  });
  if (error != 0) return uv_strerror(error);
  wake->data = this;
  wake_.reset(wake.release());
  job_ = std::make_shared<Job>();
  job_->wake = wake_.get();
  try {
    start_thread([job = job_, host, service = std::to_string(port)] {
      int failed = 0;
      Addresses found = resolve(host, service, 0, failed);
      const std::scoped_lock lock(job->mutex);
      job->addresses = std::move(found);
      job->error = failed;
      if (job->wake != nullptr) uv_async_send(job->wake);
    });
  } catch (const std::system_error& failure) {
    job_.reset();
    wake_.reset();
    return std::string("cannot start a thread to resolve the host: ") + failure.what();
  }
  return {};
}

void AddressLookup::finished() {
  const std::shared_ptr<Job> job = std::exchange(job_, nullptr);
  wake_.reset();
  const std::scoped_lock lock(job->mutex);  // until the thread is past uv_async_send()
  if (!done_) return;
  std::exchange(done_, nullptr)(job->error == 0 ? "" : ::gai_strerror(job->error), std::move(job->addresses));
}

AddressLookup::Addresses AddressLookup::parse(const std::string& host, int port) {
  int error = 0;
  return resolve(host, std::to_string(port), AI_NUMERICHOST | AI_NUMERICSERV, error);
}

}  // namespace pronghorn::worker
