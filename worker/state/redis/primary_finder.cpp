#include "worker/state/redis/primary_finder.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/call_schedule.h"
#include "worker/state/redis/redis_call.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kCalmMs = 1'000;
constexpr std::uint64_t kSearchingMs = 200;

// Host and port, as SENTINEL GET-MASTER-ADDR-BY-NAME names them.
std::optional<RedisHost> parse_address(const Reply& reply) {
  if (!reply.is_array() || reply.array().size() != 2) return std::nullopt;
  const Reply& host = reply.array()[0];
  const Reply& port = reply.array()[1];
  if (!host.is_string() || !port.is_string() || host.string().empty() || host.string().size() > 255)
    return std::nullopt;
  std::uint16_t number = 0;
  const std::string& text = port.string();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number == 0) return std::nullopt;
  return RedisHost{host.string(), number};
}

}  // namespace

PrimaryFinder::PrimaryFinder(uv_loop_t* loop, const RedisUrl& url, const LinkSettings& settings, CallSchedule& schedule,
                             std::function<void(bool)> found)
    : loop_(loop),
      url_(url),
      settings_(settings),
      schedule_(schedule),
      found_(std::move(found)),
      timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {}

PrimaryFinder::~PrimaryFinder() { close(); }

void PrimaryFinder::start() { wait(1); }

void PrimaryFinder::close() {
  if (std::exchange(closed_, true)) return;
  timer_.reset();
  asking_ = {};
  if (sentinel_) sentinel_->close();
}

void PrimaryFinder::primary_serves(bool serves) {
  if (std::exchange(serves_, serves) == serves || serves || closed_ || is_asking_) return;
  wait(1);
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
  sentinel_->start(nullptr);
}

Task<void> PrimaryFinder::ask() {
  if (!sentinel_) connect_to(current_);
  for (std::size_t tried = 0; tried < url_.seeds.size(); ++tried) {
    const std::string asked = display_host(url_.seeds[current_].host, url_.seeds[current_].port);
    RedisCall call(*sentinel_);
    call.send({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", url_.primary});
    try {
      co_await call;
      if (auto address = parse_address(call.reply())) {
        answered(std::move(*address));
        co_return;
      }
      reason_ = call.reply().is_nil()     ? fmt::format("sentinel {} does not know \"{}\"", asked, url_.primary)
                : call.reply().is_error() ? fmt::format("sentinel {}: {}", asked, call.reply().error())
                                          : fmt::format("sentinel {} names no valid address", asked);
    } catch (const RedisUnavailable& error) {
      reason_ = fmt::format("sentinel {}: {}", asked, error.what());
    }
    current_ = (current_ + 1) % url_.seeds.size();
    connect_to(current_);
  }
  if (!std::exchange(told_, true)) log_warning("no sentinel names the primary", {{"reason", reason_}});
  is_asking_ = false;
  found_(false);
  wait(kSearchingMs);
}

void PrimaryFinder::answered(RedisHost host) {
  if (std::exchange(told_, false)) log_info("a sentinel names the primary again");
  reason_.clear();
  const bool is_new = primary_ != host;
  if (primary_ && is_new) {
    log_info("sentinels name another primary",
             {{"before", display_host(primary_->host, primary_->port)}, {"now", display_host(host.host, host.port)}});
  }
  primary_ = std::move(host);
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
