#include "worker/state/redis/sentinel/primary_finder.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/node/call_schedule.h"
#include "worker/state/redis/node/redis_call.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kCalmMs = 1'000;
constexpr std::uint64_t kSearchingMs = 200;
constexpr std::size_t kMostUnreached = 5;

std::optional<RedisHost> parse_address(std::string_view host, std::string_view port) {
  if (host.empty() || host.size() > 255) return std::nullopt;
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc{} || end != port.data() + port.size() || number == 0) return std::nullopt;
  return RedisHost{std::string(host), number};
}

// The reply to SENTINEL GET-MASTER-ADDR-BY-NAME.
std::optional<RedisHost> parse_primary(const Reply& reply) {
  if (!reply.is_array() || reply.array().size() != 2) return std::nullopt;
  const Reply& host = reply.array()[0];
  const Reply& port = reply.array()[1];
  if (!host.is_string() || !port.is_string()) return std::nullopt;
  return parse_address(host.string(), port.string());
}

// One entry of the reply to SENTINEL REPLICAS: names and values in turn.
std::string_view value_of(const Reply& entry, std::string_view name) {
  if (!entry.is_array()) return {};
  const Reply::Array& words = entry.array();
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    if (words[i].is_string() && words[i + 1].is_string() && words[i].string() == name) return words[i + 1].string();
  }
  return {};
}

std::vector<RedisHost> parse_replicas(const Reply& reply) {
  std::vector<RedisHost> connected, others;
  if (!reply.is_array()) return connected;
  for (const Reply& entry : reply.array()) {
    if (value_of(entry, "flags") != "slave") continue;  // also s_down, o_down or disconnected
    auto host = parse_address(value_of(entry, "ip"), value_of(entry, "port"));
    if (!host) continue;
    (value_of(entry, "master-link-status") == "ok" ? connected : others).push_back(std::move(*host));
  }
  // All of them lose their primary when it dies: what they have may be read until another is promoted.
  return connected.empty() ? others : connected;
}

}  // namespace

PrimaryFinder::PrimaryFinder(uv_loop_t* loop, const RedisUrl& url, const LinkSettings& settings, CallSchedule& schedule,
                             std::function<void(bool)> found)
    : loop_(loop),
      url_(url),
      settings_(settings),
      schedule_(schedule),
      found_(std::move(found)),
      told_of_(url_.seeds.size()),
      timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {}

PrimaryFinder::~PrimaryFinder() { close(); }

void PrimaryFinder::start(std::function<void(std::string)> on_fatal) {
  on_fatal_ = std::move(on_fatal);
  wait(1);
}

void PrimaryFinder::close() {
  if (std::exchange(closed_, true)) return;
  timer_.reset();
  asking_ = {};
  if (sentinel_) sentinel_->close();
}

void PrimaryFinder::primary_is(bool up, bool serves) {
  up_ = up;
  if (std::exchange(serves_, serves) == serves || serves || closed_ || is_asking_) return;
  wait(1);
}

void PrimaryFinder::ask_for_replicas() {
  wants_replicas_ = true;
  if (!closed_ && !is_asking_) wait(1);
}

void PrimaryFinder::connect_to(std::size_t sentinel) {
  const RedisHost& host = url_.seeds[sentinel];
  RedisTarget target;
  target.url.host = host.host;
  target.url.port = host.port;
  target.url.user = url_.user;
  target.url.password = url_.password;
  target.kind = RedisTarget::Kind::sentinel;
  if (sentinel_) sentinel_->close();
  if (sentinel_) previous_.push_back(std::move(sentinel_));
  sentinel_ = std::make_unique<RedisNode>(
      loop_, [target] { return target; }, settings_, counters_, schedule_, static_cast<RedisNode::Owner&>(*this));
  is_rejected_ = false;
  std::function<void(std::string)> on_fatal;
  if (on_fatal_) on_fatal = [this](const std::string&) { is_rejected_ = true; };
  sentinel_->start(std::move(on_fatal));
}

Task<void> PrimaryFinder::ask() {
  if (!sentinel_) connect_to(current_);
  std::size_t rejected = 0;
  for (std::size_t tried = 0; tried < url_.seeds.size(); ++tried) {
    const std::string asked = display_host(url_.seeds[current_].host, url_.seeds[current_].port);
    RedisCall call(*sentinel_);
    const bool with_replicas = wants_replicas_;
    call.send({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", url_.primary});
    if (with_replicas) call.send({"SENTINEL", "REPLICAS", url_.primary});
    try {
      co_await call;
      if (auto address = parse_primary(call.reply())) {
        if (with_replicas) replicas_ = parse_replicas(call.reply(1));
        answered(std::move(*address));
        co_return;
      }
      reason_ = call.reply().is_nil()     ? fmt::format("sentinel {} does not know \"{}\"", asked, url_.primary)
                : call.reply().is_error() ? fmt::format("sentinel {}: {}", asked, call.reply().error())
                                          : fmt::format("sentinel {} names no valid address", asked);
    } catch (const RedisUnavailable& error) {
      reason_ = fmt::format("sentinel {}: {}", asked, sentinel_->up() ? error.what() : sentinel_->reason());
    }
    if (is_rejected_) ++rejected;
    failed();
    ask_next();
  }
  if (rejected == url_.seeds.size() && on_fatal_) {
    told_ = true;
    std::exchange(on_fatal_, nullptr)("no sentinel of the option redis names the primary: " + reason_);
  }
  if (!std::exchange(told_, true)) log_warning("no sentinel names the primary", {{"reason", reason_}});
  is_asking_ = false;
  found_(false);
  wait(kSearchingMs);
}

void PrimaryFinder::ask_next() {
  unreached_ = 0;
  current_ = (current_ + 1) % url_.seeds.size();
  connect_to(current_);
}

void PrimaryFinder::failed() {
  if (told_of_[current_] || url_.seeds.size() == 1) return;
  told_of_[current_] = true;
  log_warning("a sentinel does not name the primary", {{"reason", reason_}});
}

void PrimaryFinder::answered(RedisHost host) {
  on_fatal_ = nullptr;
  if (std::exchange(told_, false)) log_info("a sentinel names the primary again");
  told_of_[current_] = false;
  reason_.clear();
  const bool is_new = primary_ != host;
  if (primary_ && is_new) {
    log_info("sentinels name another primary",
             {{"before", display_host(primary_->host, primary_->port)}, {"now", display_host(host.host, host.port)}});
  }
  primary_ = std::move(host);
  unreached_ = is_new || up_ ? 0 : unreached_ + 1;
  if (unreached_ >= kMostUnreached) ask_next();
  is_asking_ = false;
  found_(is_new);
  wait(serves_ ? kCalmMs : kSearchingMs);
}

void PrimaryFinder::wait(std::uint64_t ms) {
  if (closed_) return;
  uv_timer_start(timer_.get(), [](uv_timer_t* timer) { static_cast<PrimaryFinder*>(timer->data)->on_time(); }, ms, 0);
}

void PrimaryFinder::on_time() {
  previous_.clear();
  if (is_asking_) return;
  is_asking_ = true;
  asking_ = ask();
  asking_.start();
  schedule_.resume();
}

}  // namespace pronghorn::worker
