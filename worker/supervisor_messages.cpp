#include "worker/supervisor_messages.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "worker/control/job_commands.h"
#include "worker/control/request_list.h"
#include "worker/control/socket_list.h"
#include "worker/state/jobs/job_service.h"

namespace pronghorn::worker {
namespace {

// See MessageKind::worker_ended.
JobService::Ended read_ended_worker(const ChannelMessage& message) {
  JobService::Ended ended;
  std::string_view left = message.text;
  for (std::string* line : {&ended.owner, &ended.blamed, &ended.report}) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    *line = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  ended.reason = left;
  ended.unexpected = message.number != 0;
  return ended;
}

}  // namespace

SupervisorMessages::SupervisorMessages(const Parts& parts, Callbacks callbacks)
    : parts_(parts), callbacks_(std::move(callbacks)) {}

void SupervisorMessages::received(const ChannelMessage& message, int fd) {
  switch (message.kind) {
    case MessageKind::drain:
      return callbacks_.drain(std::chrono::milliseconds(message.number));
    case MessageKind::stop:
      return callbacks_.stop();
    case MessageKind::cover:
      if (parts_.listeners)
        return parts_.listeners->cover(static_cast<std::uint32_t>(message.number), fd, message.text == "https");
      if (fd >= 0) ::close(fd);
      return;
    case MessageKind::uncover:
      if (parts_.listeners) parts_.listeners->uncover(static_cast<std::uint32_t>(message.number));
      return;
    case MessageKind::listener:
      if (!parts_.listeners) {
        if (fd >= 0) ::close(fd);
      } else if (!parts_.listeners->add_unix(fd)) {
        parts_.channel->send({MessageKind::listener, 0, {}});
      }
      return;
    case MessageKind::reopen_logs:
      reopen_log();
      if (parts_.http) parts_.http->reopen_logs();
      return;
    case MessageKind::log_level:
      return change_log_level(message.text);
    case MessageKind::list_requests:
      return answer_requests(message.number);
    case MessageKind::killed:
    case MessageKind::release_quarantine:
      if (parts_.quarantine) parts_.quarantine->received(message);
      return;
    case MessageKind::worker_ended:
      if (parts_.state) parts_.state->jobs.worker_ended(read_ended_worker(message));
      return;
    case MessageKind::jobs_command: {
      JobService* const service = parts_.state && parts_.state->redis ? &parts_.state->jobs : nullptr;
      const auto send = [this](const ChannelMessage& answer) { return parts_.channel->send(answer); };
      return spawn(carry_out_job_command(service, message, send));
    }
    case MessageKind::relay_here:
    case MessageKind::relay_link:
    case MessageKind::relay_peer:
      return use_relay(message, fd);
    case MessageKind::link:
      if (parts_.passed) return parts_.passed->add_link(fd);
      if (fd >= 0) ::close(fd);
      return;
    default:
      if (fd >= 0) ::close(fd);
      log_warning("unknown message from the supervisor: ignored", {{"kind", static_cast<std::uint32_t>(message.kind)}});
  }
}

void SupervisorMessages::use_relay(const ChannelMessage& message, int fd) {
  if (!parts_.state || !parts_.state->relay) {  // without Redis
    if (fd >= 0) ::close(fd);
    return;
  }
  if (message.kind == MessageKind::relay_here) return parts_.state->relay_link->follow_own(message.text);
  if (message.kind == MessageKind::relay_link)
    return parts_.state->relay_link->follow(fd, message.number, message.text);
  parts_.state->relay->add_peer(fd);
}

// A message that does not fit into the channel is lost: the list is then shorter.
void SupervisorMessages::answer_requests(std::uint64_t query) {
  if (parts_.http) {
    for (const std::string& request : list_requests(parts_.http->exchanges(), parts_.slot)) {
      parts_.channel->send({MessageKind::request_listed, query, request});
    }
    for (const std::string& socket : list_sockets(*parts_.sockets, parts_.slot)) {
      parts_.channel->send({MessageKind::request_listed, query, socket});
    }
  }
  parts_.channel->send({MessageKind::requests_end, query, std::to_string(parts_.slot)});
}

}  // namespace pronghorn::worker
