// Sends the engine's answers to the peers: acknowledgements joined, and nothing before the journal has the records that
// are answered. Never blocks. Not thread-safe: the ingest thread owns it.
#ifndef SPANWATCH_SIDECAR_INGEST_ANSWERER_H_
#define SPANWATCH_SIDECAR_INGEST_ANSWERER_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/ingest/connections.h"
#include "sidecar/ingest/envelope.h"
#include "sidecar/ingest/socket.h"

namespace spanwatch::ingest {

// Acknowledgements leave when this much was received or this long has passed since they last left.
inline constexpr std::uint64_t kAckBytes = 256u << 10;
inline constexpr std::int64_t kAckIntervalNs = 5'000'000;

class Answerer {
 public:
  // `socket` and `connections` must outlive this.
  Answerer(RouterSocket* socket, Connections* connections) : socket_(socket), connections_(connections) {}

  // Settings go with the next WELCOME or ACK to each peer that has not got them.
  void SetSettings(const Settings& settings);

  // The answer to record `index`. An ACK waits for Flush(), and replaces one of the same process that waits already;
  // other kinds are ready now, after the ACK of that process.
  void Take(const core::Answer& answer, std::uint64_t index);
  // Sends what is ready and answers no record above `acknowledged`, in order.
  void Release(std::uint64_t acknowledged);
  bool HoldsBack() const { return !ready_.empty(); }

  void CountReceived(std::uint64_t bytes) { received_bytes_ += bytes; }
  // When Flush() is due at the latest; INT64_MAX: no ACK waits for it.
  std::int64_t DueNs() const;
  bool IsDue(std::int64_t now_ns) const { return DueNs() <= now_ns; }
  void Flush(std::int64_t now_ns);

  std::uint64_t sent() const { return sent_; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  struct Ready {
    std::uint64_t index = 0;
    core::Answer answer;
  };
  void ReadyAck(Connection* connection);
  void Send(const core::Answer& answer);

  RouterSocket* const socket_;
  Connections* const connections_;
  Settings settings_;
  std::uint64_t settings_version_ = 1;
  std::deque<Ready> ready_;             // indices never fall
  std::uint64_t index_ = 0;             // of the latest record answered
  std::vector<std::uint64_t> waiting_;  // numbers of connections with an ACK pending
  std::uint64_t received_bytes_ = 0;    // since the last flush
  std::int64_t flushed_ns_ = 0;         // engine time
  std::uint64_t sent_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_ANSWERER_H_
