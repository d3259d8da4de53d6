#include "worker/passed_connections.h"

#include <fmt/format.h>
#include <unistd.h>

#include <exception>
#include <iterator>
#include <utility>

#include "common/log.h"

namespace pronghorn::worker {

PassedConnections::PassedConnections(uv_loop_t* loop, HttpServer& http, std::function<void()> on_unlinked)
    : loop_(loop), http_(http), on_unlinked_(std::move(on_unlinked)), again_(make_uv(loop, uv_timer_init, this)) {}

void PassedConnections::add_link(int fd) noexcept {
  if (fd < 0) return;
  try {
    const auto link = links_.emplace(links_.end());
    link->channel = std::make_unique<Channel>(
        loop_, fd,
        Channel::Callbacks{[this, link](const ChannelMessage& message, int client) { take(*link, message, client); },
                           [this, link] { ended(link); }});
  } catch (const std::exception& error) {
    std::erase_if(links_, [](const Link& link) { return link.channel == nullptr; });
    log_warning("cannot take connections from the distributor", {{"error", error.what()}});
  }
}

// Without a descriptor left in this process, a message arrives without its own: the distributor gives the client to
// another worker, and sends the claims again. It has already done so if this worker stood still for too long.
void PassedConnections::take(Link& link, const ChannelMessage& message, int fd) {
  if (message.kind == MessageKind::claims) {
    if (!link.claims) {
      link.claims = LinkClaims::attach(fd);
    } else if (fd >= 0) {
      ::close(fd);
    }
    return;
  }
  if (message.kind != MessageKind::connection) {
    if (fd >= 0) ::close(fd);
    return;
  }
  if (fd >= 0 && link.claims && link.claims->take(message.number)) {
    http_.adopt(fd, message.text == "https");
  } else {
    if (fd >= 0) ::close(fd);
    link.not_taken += fmt::format("{} ", message.number);
  }
  link.last_ticket = message.number;
  confirm(link);
}

// A confirmation that does not fit into the queue is sent again with the next one, or a little later.
void PassedConnections::confirm(Link& link) {
  link.unconfirmed = !link.channel->send({MessageKind::accepted, link.last_ticket, link.not_taken});
  if (!link.unconfirmed) return link.not_taken.clear();
  uv_timer_start(
      again_.get(),
      [](uv_timer_t* timer) {
        auto* self = static_cast<PassedConnections*>(timer->data);
        for (Link& each : self->links_) {
          if (each.unconfirmed) self->confirm(each);
        }
      },
      static_cast<std::uint64_t>(kConfirmAgain.count()), 0);
}

void PassedConnections::ended(std::list<Link>::iterator link) {
  links_.erase(link);
  on_unlinked_();
}

}  // namespace pronghorn::worker
