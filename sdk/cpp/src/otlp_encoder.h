// Compact records into OTLP TracesData, redacted, one batch at a time.
#ifndef SPANWATCH_SDK_CPP_SRC_OTLP_ENCODER_H_
#define SPANWATCH_SDK_CPP_SRC_OTLP_ENCODER_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sdk/cpp/src/clock.h"
#include "sdk/cpp/src/memory_sampler.h"
#include "sdk/cpp/src/protobuf.h"
#include "sdk/cpp/src/record.h"
#include "sdk/cpp/src/redactor.h"

namespace spanwatch::internal {

// An encoded batch, shared, counted, by the unacknowledged buffer and ZeroMQ's I/O thread. One malloc block.
struct Payload {
  std::atomic<std::uint32_t> refs;
  std::uint32_t size;
  std::uint8_t* data() noexcept { return reinterpret_cast<std::uint8_t*>(this + 1); }
  std::string_view view() const noexcept { return {reinterpret_cast<const char*>(this + 1), size}; }
  static Payload* Make(std::size_t size) noexcept;  // one reference; null without memory
  static void Unref(Payload* payload) noexcept;
};

// A span that has not ended yet.
struct OpenSpan {
  std::uint64_t trace_hi, trace_lo, span_id, parent_id;
  std::uint64_t start;  // ticks
  std::uint32_t kind;
  std::string_view name;
};

// Threads: the sender alone.
class OtlpEncoder {
 public:
  static constexpr std::size_t kBatchBytes = 64 << 10;

  // The attributes of the Resource, encoded once. `redactor` lives longer. May throw std::bad_alloc.
  OtlpEncoder(const std::vector<std::pair<std::string, std::string>>& resource, Redactor* redactor);

  enum class Result { kAdded, kFull, kFailed };
  // kFull: Finish() first. kFailed: it cannot be encoded at all (memory).
  Result Add(const RecordView& record, const ClockConverter& clock, const MemorySampler& memory) noexcept;
  Result AddOpen(const OpenSpan& span, const ClockConverter& clock) noexcept;

  std::uint32_t span_count() const noexcept { return count_; }
  std::size_t OwnBytes() const noexcept { return spans_.capacity() + resource_.size() + scope_.size(); }

  // The batch as TracesData, with one reference; starts the next one. Null without memory: the spans are gone.
  Payload* Finish() noexcept;

 private:
  Redactor* const redactor_;
  std::string resource_;
  std::string scope_;
  ByteBuffer spans_;  // repeated ScopeSpans.spans
  std::uint32_t count_ = 0;
};

}  // namespace spanwatch::internal

#endif  // SPANWATCH_SDK_CPP_SRC_OTLP_ENCODER_H_
