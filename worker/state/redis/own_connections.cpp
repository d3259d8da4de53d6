#include "worker/state/redis/own_connections.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

// Where a command says how long it waits, in seconds.
enum class Place : std::uint8_t { first, last };
struct Waits {
  std::string_view name;
  Place place;
};
constexpr std::array kWaits{
    Waits{"BLPOP", Place::last},   Waits{"BRPOP", Place::last},    Waits{"BRPOPLPUSH", Place::last},
    Waits{"BLMOVE", Place::last},  Waits{"BZPOPMIN", Place::last}, Waits{"BZPOPMAX", Place::last},
    Waits{"BLMPOP", Place::first}, Waits{"BZMPOP", Place::first},
};

// What Redis will refuse does not wait.
milliseconds parse_wait(std::string_view text, double unit_ms) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0)) return milliseconds(0);
  constexpr double kLongest = 1e12;
  if (value == 0 || value * unit_ms > kLongest) return milliseconds::max();
  return milliseconds(static_cast<milliseconds::rep>(std::ceil(value * unit_ms)));
}

// Which word says how long the command waits, and its unit.
struct TimeWord {
  std::size_t position;
  double unit_ms;
};

std::optional<TimeWord> time_word(const std::vector<std::string>& words) {
  if (words.size() < 2) return std::nullopt;
  for (const Waits& entry : kWaits) {
    if (!equal_ignoring_case(words[0], entry.name)) continue;
    return TimeWord{entry.place == Place::last ? words.size() - 1 : 1, 1'000};
  }
  if (!equal_ignoring_case(words[0], "XREAD") && !equal_ignoring_case(words[0], "XREADGROUP")) return std::nullopt;
  for (std::size_t i = 1; i + 1 < words.size() && !equal_ignoring_case(words[i], "STREAMS"); ++i) {
    if (equal_ignoring_case(words[i], "BLOCK")) return TimeWord{i + 1, 1};
  }
  return std::nullopt;
}

}  // namespace

std::optional<milliseconds> waiting_time(const Command& command) {
  const auto word = time_word(command.words());
  if (!word) return std::nullopt;
  return parse_wait(command.words()[word->position], word->unit_ms);
}

Command with_waiting_time(const Command& command, milliseconds time) {
  std::vector<std::string> words = command.words();
  if (const auto word = time_word(words)) {
    const bool is_ms = word->unit_ms == 1;  // of XREAD, which takes whole numbers only
    const std::chrono::duration<double> seconds = time;
    words[word->position] = is_ms ? std::to_string(time.count()) : fmt::format("{}", seconds.count());
  }
  return Command(std::move(words));
}

OwnConnections::OwnConnections(uv_loop_t* loop, LinkSettings settings, CounterArray& counters, CallSchedule& schedule)
    : loop_(loop),
      settings_(std::move(settings)),
      counters_(counters),
      schedule_(schedule),
      timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {}

OwnConnections::Lease OwnConnections::take(const RedisTarget& target) {
  const auto found = std::ranges::find_if(idle_, [&target](const auto& node) {
    return node->target().url.host == target.url.host && node->target().url.port == target.url.port;
  });
  if (found != idle_.end()) {
    std::unique_ptr<RedisNode> node = std::move(*found);
    idle_.erase(found);
    return lease(std::move(node));
  }
  auto node = std::make_unique<RedisNode>(
      loop_, [target] { return target; }, settings_, counters_, schedule_, static_cast<RedisNode::Owner&>(*this));
  node->let_commands_wait();
  if (closed_) {
    node->close();
  } else {
    node->start(nullptr);
  }
  return lease(std::move(node));
}

OwnConnections::Lease OwnConnections::lease(std::unique_ptr<RedisNode> node) {
  leased_.push_back(node.get());
  return {*this, std::move(node)};
}

void OwnConnections::close() {
  closed_ = true;
  timer_.reset();
  for (const auto& node : idle_) node->close();
  for (RedisNode* node : leased_) node->close();
}

// Redis may close a connection that is idle for long: it is not needed again.
void OwnConnections::node_changed(RedisNode& node) {
  const auto found = std::ranges::find(idle_, &node, &std::unique_ptr<RedisNode>::get);
  if (closed_ || found == idle_.end() || node.up()) return;
  std::unique_ptr<RedisNode> lost = std::move(*found);
  idle_.erase(found);
  end(std::move(lost));
}

void OwnConnections::give_back(std::unique_ptr<RedisNode> node) {
  std::erase(leased_, node.get());
  if (closed_ || !node->up() || !node->idle()) {
    node->close();  // before Redis gives something to a command that nobody waits for
    return end(std::move(node));
  }
  idle_.push_back(std::move(node));
  if (idle_.size() <= kMaxIdle) return;
  std::unique_ptr<RedisNode> oldest = std::move(idle_.front());
  idle_.erase(idle_.begin());
  end(std::move(oldest));
}

// Code of the node may be on the stack.
void OwnConnections::end(std::unique_ptr<RedisNode> node) {
  ended_.push_back(std::move(node));
  if (timer_ == nullptr) return;
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<OwnConnections*>(timer->data)->ended_.clear(); }, 1, 0);
}

}  // namespace pronghorn::worker
