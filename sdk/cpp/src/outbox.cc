#include "sdk/cpp/src/outbox.h"

namespace spanwatch::internal {

Outbox::~Outbox() {
  for (const Batch& batch : held_) Payload::Unref(batch.payload);
}

void Outbox::Add(Payload* payload, std::uint32_t span_count, const Counters& counters) {
  held_.push_back({next_sequence_, payload, span_count, batched_, counters});
  ++next_sequence_;
  batched_ += span_count;
  total_batched_ += span_count;
  held_bytes_ += Bytes(held_.back());
  while (held_bytes_ > kMaxBytes && held_.size() > 1) EvictOldest();
}

void Outbox::EvictOldest() noexcept {
  if (held_.empty()) return;
  held_bytes_ -= Bytes(held_.front());
  evicted_ += held_.front().span_count;
  Payload::Unref(held_.front().payload);
  held_.pop_front();
  if (next_ > 0) --next_;
}

const Batch* Outbox::NextToSend() const noexcept {
  if (next_ >= held_.size()) return nullptr;
  const Batch& batch = held_[next_];
  return window_bytes_ == 0 || window_bytes_ + Bytes(batch) <= kWindowBytes ? &batch : nullptr;
}

void Outbox::MarkSent() {
  const Batch& batch = held_[next_];
  in_flight_.push_back(
      {{batch.sequence, batch.batched_before + batch.span_count, batch.counters}, Bytes(batch), batch.span_count});
  window_bytes_ += Bytes(batch);
  if (batch.sequence > highest_sent_) highest_sent_ = batch.sequence;
  ++next_;
}

bool Outbox::Acknowledge(std::uint64_t applied) noexcept {
  if (applied > highest_sent_) return false;
  while (!in_flight_.empty() && in_flight_.front().totals.sequence <= applied) {
    const InFlight& sent = in_flight_.front();
    window_bytes_ -= sent.bytes;
    if (sent.totals.sequence < oldest_held() && sent.totals.sequence > acknowledged_.sequence) {
      // Dropped here for want of room while it was on its way, and arrived all the same.
      acknowledged_ = sent.totals;
      evicted_ -= sent.span_count;
      delivered_ += sent.span_count;
    }
    in_flight_.pop_front();
  }
  while (!held_.empty() && held_.front().sequence <= applied) {
    const Batch& batch = held_.front();
    acknowledged_ = {batch.sequence, batch.batched_before + batch.span_count, batch.counters};
    delivered_ += batch.span_count;
    held_bytes_ -= Bytes(batch);
    Payload::Unref(batch.payload);
    held_.pop_front();
    if (next_ > 0) --next_;
  }
  return true;
}

void Outbox::Rewind() noexcept {
  next_ = 0;
  in_flight_.clear();
  window_bytes_ = 0;
}

void Outbox::Renumber(const Counters& base) noexcept {
  Rewind();
  next_sequence_ = 1;
  highest_sent_ = 0;
  batched_ = 0;
  acknowledged_ = {};
  for (Batch& batch : held_) {
    batch.sequence = next_sequence_++;
    batch.batched_before = batched_;
    batched_ += batch.span_count;
    const auto less = [](std::uint64_t value, std::uint64_t floor) { return value > floor ? value - floor : 0; };
    batch.counters.sampled_out = less(batch.counters.sampled_out, base.sampled_out);
    for (std::uint32_t i = 0; i < kDropReasons; ++i)
      batch.counters.drops[i] = less(batch.counters.drops[i], base.drops[i]);
  }
}

}  // namespace spanwatch::internal
