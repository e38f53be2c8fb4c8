#include "sidecar/ingest/connections.h"

#include <utility>

namespace spanwatch::ingest {
namespace {

constexpr std::int64_t kBusyNs = 5'000'000'000;
constexpr std::int64_t kExpiryNs = 600'000'000'000;

}  // namespace

Connection* Connections::See(std::string_view routing_id, std::int64_t now_ns) {
  const auto found = by_routing_id_.find(routing_id);
  if (found != by_routing_id_.end()) {
    found->second->last_seen_ns = now_ns;
    return found->second;
  }
  if (by_number_.size() >= max_ && !MakeRoom(now_ns)) return nullptr;
  auto connection = std::make_unique<Connection>();
  connection->number = ++last_number_;
  connection->routing_id = std::string(routing_id);
  connection->last_seen_ns = now_ns;
  Connection* const result = connection.get();
  by_routing_id_.emplace(connection->routing_id, result);
  by_number_.emplace(result->number, std::move(connection));
  return result;
}

Connection* Connections::Find(std::uint64_t number) {
  const auto found = by_number_.find(number);
  return found == by_number_.end() ? nullptr : found->second.get();
}

bool Connections::MakeRoom(std::int64_t now_ns) {
  const Connection* oldest = nullptr;
  for (const auto& entry : by_number_) {
    if (oldest == nullptr || entry.second->last_seen_ns < oldest->last_seen_ns) oldest = entry.second.get();
  }
  if (oldest == nullptr || now_ns - oldest->last_seen_ns < kBusyNs) return false;
  Remove(oldest->number);
  return true;
}

void Connections::Expire(std::int64_t now_ns) {
  std::vector<std::uint64_t> old;
  for (const auto& entry : by_number_) {
    if (now_ns - entry.second->last_seen_ns >= kExpiryNs) old.push_back(entry.first);
  }
  for (const std::uint64_t number : old) Remove(number);
}

void Connections::Remove(std::uint64_t number) {
  const auto found = by_number_.find(number);
  by_routing_id_.erase(found->second->routing_id);
  by_number_.erase(found);
  ++expired_;
}

}  // namespace spanwatch::ingest
