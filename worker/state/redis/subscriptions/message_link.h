// Where published messages come from: a connection to Redis (SubscriberLink), or the machine's relay (RelayLink).
#pragma once

#include <cstdint>
#include <string_view>

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// Context: loop thread. Nothing throws.
class MessageLink {
 public:
  // Called from the loop. A listener may call every function of the link.
  class Listener {
   public:
    // Connected; nothing is subscribed to on this connection.
    virtual void link_up() = 0;
    // What send() returned `command` for was carried out, or Redis refuses it.
    virtual void link_confirmed(std::uint64_t command) = 0;
    virtual void link_refused(std::uint64_t command, std::string_view error) = 0;
    // `pattern` is empty unless the message was received because of one.
    virtual void link_message(std::string_view pattern, std::string_view channel, const Reply& payload) = 0;
    // Now and then while up(): refused subscriptions may be tried again.
    virtual void link_tick() = 0;
    // There is no connection now. Not called for attempts that failed.
    virtual void link_down() = 0;

   protected:
    ~Listener() = default;
  };

  virtual ~MessageLink() = default;

  virtual void start() = 0;           // begins to connect; later calls do nothing
  virtual void close() noexcept = 0;  // closes the connection and its timers without calling the listener
  [[nodiscard]] virtual bool up() const noexcept = 0;
  // The id that CLIENT TRACKING … REDIRECT takes, while up(). 0 if nobody tells it.
  [[nodiscard]] virtual std::int64_t client_id() const noexcept = 0;
  // Queues one command: `verb` is SUBSCRIBE, PSUBSCRIBE, UNSUBSCRIBE or PUNSUBSCRIBE. Only while up().
  virtual std::uint64_t send(std::string_view verb, std::string_view name) = 0;
  // Drops the connection and connects at once to what is named now. Does nothing unless up().
  virtual void reconnect() = 0;

 protected:
  MessageLink() = default;
  MessageLink(const MessageLink&) = delete;
  MessageLink& operator=(const MessageLink&) = delete;
};

}  // namespace pronghorn::worker
