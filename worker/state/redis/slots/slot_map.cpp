#include "worker/state/redis/slots/slot_map.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxHost = 255;
constexpr std::string_view kUnknownHost = "?";

template <class Number>
std::optional<Number> whole_number(std::string_view text, Number most) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number > most) return std::nullopt;
  return number;
}

bool is_host(std::string_view text) noexcept {
  return text.size() <= kMaxHost && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
                  c == '_' || c == ':' || c == '%';
         });
}

std::optional<std::int64_t> integer_in(const Reply& reply, std::int64_t least, std::int64_t most) {
  if (!reply.is_integer()) return std::nullopt;
  const std::int64_t value = reply.integer();
  return value >= least && value <= most ? std::optional(value) : std::nullopt;
}

// What the fourth part of a node says, since Redis 7: pairs of names and values. Empty: nothing.
std::string_view fact(const Reply& node, std::string_view name) {
  const Reply::Array& parts = node.array();
  if (parts.size() < 4 || !parts[3].is_array()) return {};
  const Reply::Array& facts = parts[3].array();
  for (std::size_t i = 0; i + 1 < facts.size(); i += 2) {
    if (facts[i].is_string() && facts[i].string() == name && facts[i + 1].is_string()) return facts[i + 1].string();
  }
  return {};
}

// A node: host, port, its id, and facts. The host is "?" if it should be a name and the node announces none: then its
// address is among the facts.
std::optional<RedisHost> parse_node(const Reply& reply, const RedisHost& asked) {
  if (!reply.is_array() || reply.array().size() < 2) return std::nullopt;
  const auto port = integer_in(reply.array()[1], 1, 65'535);
  const Reply& host = reply.array()[0];
  if (!port) return std::nullopt;
  if (host.is_nil() || (host.is_string() && host.string().empty())) {
    return RedisHost{asked.host, static_cast<std::uint16_t>(*port)};
  }
  if (!host.is_string()) return std::nullopt;
  const std::string_view reached = host.string() == kUnknownHost ? fact(reply, "ip") : std::string_view(host.string());
  if (reached.empty() || !is_host(reached)) return std::nullopt;
  return RedisHost{std::string(reached), static_cast<std::uint16_t>(*port)};
}

void add_name(SlotMap& map, const Reply& reply, const RedisHost& node) {
  const std::string_view name = fact(reply, "hostname");
  if (!name.empty() && is_host(name)) map.names.emplace(std::pair(node.host, node.port), name);
}

}  // namespace

std::expected<SlotMap, std::string> parse_slot_map(const Reply& reply, const RedisHost& asked) {
  if (!reply.is_array()) return std::unexpected("the reply to CLUSTER SLOTS is not a list");
  SlotMap map;
  std::map<std::pair<std::string, std::uint16_t>, std::uint16_t> indexes;  // of primaries
  for (const Reply& range : reply.array()) {
    if (!range.is_array() || range.array().size() < 3) return std::unexpected("a range of slots has no node");
    const Reply::Array& parts = range.array();
    const auto first = integer_in(parts[0], 0, kSlots - 1);
    const auto last = integer_in(parts[1], 0, kSlots - 1);
    if (!first || !last || *first > *last) return std::unexpected("a range of slots is outside of 0 to 16383");
    const auto primary = parse_node(parts[2], asked);
    if (!primary) return std::unexpected("a node of the cluster has no valid address");
    const auto [entry, is_new] =
        indexes.try_emplace({primary->host, primary->port}, static_cast<std::uint16_t>(map.shards.size()));
    if (is_new) {
      if (map.shards.size() == SlotMap::kMaxShards) return std::unexpected("the cluster has more than 1000 primaries");
      Shard& shard = map.shards.emplace_back();
      shard.primary = *primary;
      add_name(map, parts[2], *primary);
      for (std::size_t i = 3; i < parts.size() && shard.replicas.size() < SlotMap::kMaxReplicas; ++i) {
        auto replica = parse_node(parts[i], asked);
        if (!replica) continue;
        add_name(map, parts[i], *replica);
        shard.replicas.push_back(std::move(*replica));
      }
    }
    for (auto slot = *first; slot <= *last; ++slot) {
      std::uint16_t& owner = map.shard_of[static_cast<std::size_t>(slot)];
      if (owner != SlotMap::kUnserved) return std::unexpected("two ranges of slots overlap");
      owner = entry->second;
    }
  }
  if (map.shards.empty()) return std::unexpected("no node serves any slot");
  return map;
}

std::optional<Redirect> parse_redirect(std::string_view error) {
  Redirect redirect{};
  if (error.starts_with("TRYAGAIN")) {
    redirect.kind = Redirect::Kind::try_again;
    return redirect;
  }
  if (error.starts_with("MOVED ")) {
    redirect.kind = Redirect::Kind::moved;
    error.remove_prefix(6);
  } else if (error.starts_with("ASK ")) {
    redirect.kind = Redirect::Kind::ask;
    error.remove_prefix(4);
  } else {
    return std::nullopt;
  }
  const auto blank = error.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const auto slot = whole_number<std::uint16_t>(error.substr(0, blank), kSlots - 1);
  std::string_view address = error.substr(blank + 1);
  address = address.substr(0, address.find(' '));
  const auto colon = address.rfind(':');
  if (!slot || colon == std::string_view::npos) return std::nullopt;
  const auto port = whole_number<std::uint16_t>(address.substr(colon + 1), 65'535);
  const std::string_view host = address.substr(0, colon);
  if (!port || *port == 0) return std::nullopt;
  if (host == kUnknownHost) return Redirect{.kind = Redirect::Kind::try_again, .slot = 0, .to = {}};
  if (!is_host(host)) return std::nullopt;
  redirect.slot = *slot;
  redirect.to = {std::string(host), *port};
  return redirect;
}

}  // namespace pronghorn::worker
