// Figures of operations over the last hour: for each operation and kind calls, errors and durations by minute, and
// durations in buckets by minute for five to ten minutes, then by five minutes. Services and the whole are sums over
// them, made when somebody asks (overview_figures.h). Time is engine time of arrival.
//
// Bounded by kMaxOverviewBytes. Near it new operations are counted in the "(other)" of their service, above it quiet
// ones are added to it too. Not thread-safe: the engine's mutex guards it.
#ifndef SPANWATCH_SIDECAR_CORE_OVERVIEW_H_
#define SPANWATCH_SIDECAR_CORE_OVERVIEW_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "sidecar/core/engine.h"
#include "sidecar/core/flat_buffer.h"
#include "sidecar/core/overview_sketch.h"
#include "sidecar/core/overview_view.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

inline constexpr std::uint64_t kMaxOverviewBytes = 4u << 20;
inline constexpr std::uint64_t kMinOverviewBytes = 1u << 20;
inline constexpr std::int64_t kMinuteNs = 60'000'000'000;
inline constexpr std::int32_t kFiveMinutes = 5;
inline constexpr std::int32_t kHourMinutes = 60;
inline constexpr std::uint32_t kOtherOperation = UINT32_MAX;  // what was folded into a service

// What is counted beside calls, errors and durations. Most are 0 most of the time.
enum class Extra : std::uint8_t {
  kSquares,  // sum of weight * weight, less that of the weights: 0 without sampling
  kSlowWarning,
  kSlowCritical,
  kTimeouts,
  kMemoryGrowth,   // bytes: sum over spans that grew
  kMemoryLargest,  // bytes: of one span, not weighted
  kMemorySpans
};
inline constexpr std::size_t kExtras = 7;
using Extras = std::array<double, kExtras>;
void AddExtras(const Extras& from, Extras* to);

struct MinuteCounts {
  std::int32_t minute = 0;  // since the epoch
  float calls = 0, errors = 0, duration_ns = 0;
};

// The buckets of one or of five minutes, in a list of bytes: minute; length and which extras; size of the buckets;
// extras; buckets.
struct SketchSlot {
  std::int32_t minute = 0;  // the first one
  std::int32_t minutes = 1;
  Extras extras{};
  std::span<const std::uint8_t> buckets;
  std::size_t bytes = 0;  // where the next slot begins, from here
};
SketchSlot ReadSlot(const std::uint8_t* bytes);
// `slots` grows by one.
void WriteSlot(std::int32_t minute, bool five, const Extras& extras, const Sketch& sketch,
               FlatBuffer<std::uint8_t>* slots);

// All that is known of an operation and kind; what comes in now is not in `slots` and `minutes` yet.
struct OperationRecord {
  std::uint32_t operation = kOtherOperation, service = 0;
  SpanKind kind = SpanKind::kUnspecified;
  std::int32_t minute = 0;  // of `now`
  struct Now {
    double calls = 0, errors = 0, duration_ns = 0;
    Extras extras{};
  } now;
  std::array<std::uint8_t, sketch::kPowers> block{};  // of a power of two in `dense`, from 1; 0: none
  FlatBuffer<float> dense;                            // kParts counts a block
  FlatBuffer<MinuteCounts> minutes;                   // in order of time, those with calls
  FlatBuffer<std::uint8_t> slots;                     // in order of time
};

class Overview {
 public:
  void Configure(const Limits& limits);
  // Each span that is counted, whether stored or not.
  void OnSpan(std::int64_t now_ns, std::uint32_t operation, std::uint32_t service, const SpanBatch& batch,
              const SpanView& span);
  // Must follow the last OnSpan before anything is read.
  void Settle();
  // It needs no ticks; on those that run anyway a few idle operations are tidied.
  void Advance(std::int64_t now_ns);
  // Their numbers are free: others may get them.
  void ForgetOperation(std::uint32_t operation);
  void ForgetService(std::uint32_t service);
  std::uint64_t bytes() const;  // by formula
  // What the other statistics leave of their common budget; between 1 MB and kMaxOverviewBytes of it are used.
  void SetRoom(std::uint64_t bytes) { max_bytes_ = std::clamp(bytes, kMinOverviewBytes, kMaxOverviewBytes); }
  std::uint64_t max_bytes() const { return max_bytes_; }

  // Of the first span; 0: none yet.
  std::int64_t since_ns() const { return since_ns_; }
  // Parts of all records, [0, slots()); null: free.
  std::size_t slots() const { return entries_.size(); }
  const OperationRecord* record(std::size_t slot) const { return entries_[slot].get(); }
  // The records of an operation, one a kind.
  std::vector<const OperationRecord*> RecordsOf(std::uint32_t operation) const;
  std::uint64_t folded_operations() const { return folded_now_; }
  double folded_calls() const { return folded_calls_; }

 private:
  struct Entry : OperationRecord {
    Entry* next = nullptr;  // another kind of the same
    std::uint32_t number = 0;
    std::uint64_t weighed = 0;  // its part of record_bytes_
  };

  // Not inlined: what OnSpan() does for each span stays short.
  [[gnu::noinline]] Entry* Obtain(std::uint32_t operation, std::uint32_t service, SpanKind kind);
  Entry* Other(std::uint32_t service, SpanKind kind);
  Entry* Make(std::uint32_t operation, std::uint32_t service, SpanKind kind, Entry** list);
  void Free(Entry* entry);
  [[gnu::noinline]] void AddBlock(Entry* entry, std::uint32_t power);
  [[gnu::noinline]] void OnError(const SpanBatch& batch, const SpanView& span, Entry* entry);
  [[gnu::noinline]] void Turn(Entry* entry);
  void Pack(Entry* entry);
  void Tidy(Entry* entry);
  void TidySome(std::size_t count);
  void Weigh(Entry* entry);
  void Shrink(const Entry* keep);
  Entry* Quietest(bool others, const Entry* keep);
  void Fold(Entry* entry);
  void Take(const Entry& from, Entry* to);
  void TakeSlots(const Entry& from, Entry* to);
  void MarkFolded(std::uint32_t operation, bool folded);

  // The last spans' steps of the sketches: made a few spans later, when their cache lines have come. Of a span's cost
  // here two thirds were the wait for one cell of some megabytes.
  struct Step {
    float* cell = nullptr;
    float weight = 0;
  };
  std::array<Step, 8> steps_;
  std::size_t next_step_ = 0;

  std::int64_t slow_warning_ns_ = 0, slow_critical_ns_ = 0;
  std::uint64_t max_bytes_ = kMaxOverviewBytes;
  std::int64_t since_ns_ = 0;
  std::int32_t minute_ = 0;
  std::int64_t minute_end_ns_ = INT64_MIN;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<std::uint32_t> free_;
  std::vector<Entry*> first_;  // by operation
  std::vector<Entry*> other_;  // by service
  std::vector<bool> folded_;   // by operation
  std::uint64_t record_bytes_ = 0;
  std::size_t tidy_at_ = 0, fold_at_ = 0;
  std::uint64_t folded_now_ = 0;
  double folded_calls_ = 0;
  Sketch sum_;  // for a moment
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_OVERVIEW_H_
