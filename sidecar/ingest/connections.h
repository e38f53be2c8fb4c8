// The peers of the ROUTER socket: routing ids (chosen by libzmq or the peer) to numbers in the order of appearance,
// which are what records carry. Not thread-safe: the ingest thread owns it.
#ifndef SPANWATCH_SIDECAR_INGEST_CONNECTIONS_H_
#define SPANWATCH_SIDECAR_INGEST_CONNECTIONS_H_

#include <tsl/robin_map.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/engine.h"

namespace spanwatch::ingest {

struct Connection {
  std::uint64_t number = 0;
  std::string routing_id;
  std::int64_t last_seen_ns = 0;    // engine time
  std::uint64_t settings_sent = 0;  // version of the settings that the peer has; 0: none
  bool ack_pending = false;
  core::Answer ack;  // the latest one, if pending
};

class Connections {
 public:
  explicit Connections(std::size_t max = 4096) : max_(max) {}

  // Finds or numbers the peer and notes that it was seen. When the table is full, the one that was silent longest makes
  // room, but never one that spoke within five seconds: then the result is null, and the new peer is refused.
  // The pointer is valid until the next See() or Expire().
  Connection* See(std::string_view routing_id, std::int64_t now_ns);
  Connection* Find(std::uint64_t number);

  // Numbers begin above `last`: a number never means two peers in one journal.
  void NumberFrom(std::uint64_t last) { last_number_ = last; }
  std::uint64_t last_number() const { return last_number_; }

  // Forgets those silent for ten minutes.
  void Expire(std::int64_t now_ns);

  std::size_t size() const { return by_number_.size(); }
  std::uint64_t expired() const { return expired_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const { return a == b; }
  };
  bool MakeRoom(std::int64_t now_ns);
  void Remove(std::uint64_t number);

  const std::size_t max_;
  tsl::robin_map<std::string, Connection*, Hash, Equal> by_routing_id_;
  tsl::robin_map<std::uint64_t, std::unique_ptr<Connection>> by_number_;
  std::uint64_t last_number_ = 0;
  std::uint64_t expired_ = 0;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_CONNECTIONS_H_
