// How long the quiet may last inside traces, learned by root operation: for each, counts of the widest gap between two
// arrivals after the root had come, in steps of a quarter up to 30 s; old traces weigh less (all counts are
// halved at 1,024). The learned gap lies one step above the 99.9th percentile: below 1,000 traces that is the widest
// gap seen, so that a rare straggler keeps its traces open until it is old news. Whole numbers only. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_CORE_ROOT_GAPS_H_
#define SPANWATCH_SIDECAR_CORE_ROOT_GAPS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "sidecar/core/codec.h"

namespace spanwatch::core {

class RootGaps {
 public:
  static constexpr std::int64_t kFirstGapNs = 1'000'000'000;  // until kLearnTraces of the root were seen
  static constexpr std::uint32_t kLearnTraces = 20;
  static constexpr std::int64_t kMinGapNs = 100'000'000;
  static constexpr std::int64_t kMaxGapNs = 30'000'000'000;
  static constexpr std::size_t kSteps = 29;

  // How long a trace of this root operation must be quiet before it counts as complete.
  std::int64_t GapOf(std::uint32_t operation) const {
    return operation < entries_.size() && entries_[operation] != nullptr ? entries_[operation]->gap_ns : kFirstGapNs;
  }
  static std::uint8_t StepOf(std::int64_t gap_ns);
  // A trace is complete: the widest gap in it.
  void Learn(std::uint32_t operation, std::uint8_t step);
  // A span came late: the widest gap was not `from` but `to`.
  void Relearn(std::uint32_t operation, std::uint8_t from, std::uint8_t to);
  void Forget(std::uint32_t operation);

  std::uint64_t bytes() const { return used_ * (sizeof(Entry) + 32); }

  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in, std::size_t operations);

 private:
  struct Entry {
    std::uint32_t seen = 0;   // traces, up to kLearnTraces
    std::uint32_t total = 0;  // sum of counts
    std::int64_t gap_ns = kFirstGapNs;
    std::array<std::uint16_t, kSteps> counts{};
  };
  static void Settle(Entry* entry);

  std::vector<std::unique_ptr<Entry>> entries_;  // by operation
  std::size_t used_ = 0;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ROOT_GAPS_H_
