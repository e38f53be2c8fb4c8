// Numbered batches from their making to their acknowledgement: the buffer, the window, resending, the ledger. No
// sockets, no clock.
#ifndef SPANWATCH_SDK_CPP_SRC_OUTBOX_H_
#define SPANWATCH_SDK_CPP_SRC_OUTBOX_H_

#include <cstdint>
#include <deque>

#include "sdk/cpp/src/envelope.h"
#include "sdk/cpp/src/otlp_encoder.h"

namespace spanwatch::internal {

struct Batch {
  std::uint64_t sequence = 0;
  Payload* payload = nullptr;  // one reference
  std::uint32_t span_count = 0;
  std::uint64_t batched_before = 0;
  Counters counters;  // as they stood when it was made: every sending of it says the same
};

// Threads: the sender alone. Functions that allocate may throw std::bad_alloc and then change nothing.
class Outbox {
 public:
  static constexpr std::uint64_t kMaxBytes = 3 << 20;     // held, unacknowledged
  static constexpr std::uint64_t kWindowBytes = 1 << 20;  // given to the socket, unacknowledged
  static constexpr std::uint64_t kBatchOverhead = sizeof(Batch) + sizeof(Payload) + 32;

  Outbox() = default;
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Takes over the payload's reference. Drops the oldest batches while it is over kMaxBytes.
  void Add(Payload* payload, std::uint32_t span_count, const Counters& counters);

  // The next batch to send if the window has room for it, else null; valid until the next call that changes anything.
  const Batch* NextToSend() const noexcept;
  void MarkSent();  // REQUIRES: NextToSend() was not null

  // The sidecar has judged everything up to `applied`. False, and nothing happens, if that was never sent.
  bool Acknowledge(std::uint64_t applied) noexcept;
  // Send again from the oldest batch held, with an empty window: after RESEND and after WELCOME.
  void Rewind() noexcept;
  // Drops the oldest batch: the sidecar refuses it for good.
  void EvictOldest() noexcept;
  // A new process id: what is held is numbered from 1, and counters go on from `base` (what the old id has reported).
  void Renumber(const Counters& base) noexcept;

  std::uint64_t next_sequence() const noexcept { return next_sequence_; }
  std::uint64_t oldest_held() const noexcept { return held_.empty() ? next_sequence_ : held_.front().sequence; }
  bool empty() const noexcept { return held_.empty(); }
  const Totals& acknowledged() const noexcept { return acknowledged_; }
  std::uint64_t batched() const noexcept { return batched_; }  // spans in all batches of this process id

  // Spans since construction.
  std::uint64_t total_batched() const noexcept { return total_batched_; }
  std::uint64_t delivered() const noexcept { return delivered_; }
  std::uint64_t evicted() const noexcept { return evicted_; }
  std::uint64_t held_spans() const noexcept { return total_batched_ - delivered_ - evicted_; }
  std::uint64_t held_bytes() const noexcept { return held_bytes_; }
  std::uint64_t window_bytes() const noexcept { return window_bytes_; }

 private:
  struct InFlight {
    Totals totals;  // with this batch
    std::uint64_t bytes;
    std::uint32_t span_count;
  };
  static std::uint64_t Bytes(const Batch& batch) noexcept { return batch.payload->size + kBatchOverhead; }

  std::deque<Batch> held_;
  std::deque<InFlight> in_flight_;  // also of batches dropped meanwhile: the socket still holds them
  std::size_t next_ = 0;            // index in held_ of the next to send
  std::uint64_t next_sequence_ = 1;
  std::uint64_t highest_sent_ = 0;
  std::uint64_t batched_ = 0;
  std::uint64_t held_bytes_ = 0;
  std::uint64_t window_bytes_ = 0;
  Totals acknowledged_;
  std::uint64_t total_batched_ = 0;
  std::uint64_t delivered_ = 0;
  std::uint64_t evicted_ = 0;
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_OUTBOX_H_
