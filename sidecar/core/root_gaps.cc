#include "sidecar/core/root_gaps.h"

#include <algorithm>

namespace spanwatch::core {
namespace {

constexpr std::uint32_t kHalveAt = 1024;
constexpr std::uint32_t kOneOf = 1000;  // the share of traces that may be closed early

// Upper bounds: 64 ms, then a quarter more each, the last 30 s.
constexpr std::array<std::int64_t, RootGaps::kSteps> kBounds = [] {
  std::array<std::int64_t, RootGaps::kSteps> bounds{};
  std::int64_t bound = 64'000'000;
  for (std::int64_t& each : bounds) {
    each = std::min(bound, RootGaps::kMaxGapNs);
    bound += bound / 4;
  }
  bounds.back() = RootGaps::kMaxGapNs;
  return bounds;
}();

}  // namespace

std::uint8_t RootGaps::StepOf(std::int64_t gap_ns) {
  const auto at = std::lower_bound(kBounds.begin(), kBounds.end() - 1, gap_ns);
  return static_cast<std::uint8_t>(at - kBounds.begin());
}

void RootGaps::Settle(Entry* entry) {
  if (entry->total >= kHalveAt) {
    entry->total = 0;
    for (std::uint16_t& count : entry->counts) entry->total += count = static_cast<std::uint16_t>(count / 2);
  }
  if (entry->seen < kLearnTraces) return;
  std::uint32_t above = entry->total / kOneOf;
  std::size_t step = kSteps - 1;
  while (step > 0 && entry->counts[step] <= above) above -= entry->counts[step--];
  entry->gap_ns = std::max(kMinGapNs, kBounds[std::min(step + 1, kSteps - 1)]);
}

void RootGaps::Learn(std::uint32_t operation, std::uint8_t step) {
  if (operation >= entries_.size()) entries_.resize(operation + 1);
  if (entries_[operation] == nullptr) {
    entries_[operation] = std::make_unique<Entry>();
    ++used_;
  }
  Entry& entry = *entries_[operation];
  if (entry.seen < kLearnTraces) ++entry.seen;
  ++entry.counts[step];
  ++entry.total;
  Settle(&entry);
}

void RootGaps::Relearn(std::uint32_t operation, std::uint8_t from, std::uint8_t to) {
  if (operation >= entries_.size() || entries_[operation] == nullptr) return;
  Entry& entry = *entries_[operation];
  if (entry.counts[from] > 0) {
    --entry.counts[from];
  } else {
    ++entry.total;  // it was halved away
  }
  ++entry.counts[to];
  Settle(&entry);
}

void RootGaps::Forget(std::uint32_t operation) {
  if (operation >= entries_.size() || entries_[operation] == nullptr) return;
  entries_[operation] = nullptr;
  --used_;
}

void RootGaps::Save(CodecWriter* out) const {
  out->U64(used_);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i] == nullptr) continue;
    out->U64(i).U64(entries_[i]->seen);
    for (const std::uint16_t count : entries_[i]->counts) out->U64(count);
    out->I64(entries_[i]->gap_ns);
  }
}

bool RootGaps::Load(CodecReader* in, std::size_t operations) {
  for (std::size_t n = in->Count(); n > 0 && in->ok(); --n) {
    const std::uint64_t operation = in->Below(operations);
    if (!in->ok()) return false;
    if (operation >= entries_.size()) entries_.resize(operation + 1);
    if (entries_[operation] != nullptr) return false;
    entries_[operation] = std::make_unique<Entry>();
    ++used_;
    Entry& entry = *entries_[operation];
    entry.seen = static_cast<std::uint32_t>(in->Below(kLearnTraces + 1));
    for (std::uint16_t& count : entry.counts)
      entry.total += count = static_cast<std::uint16_t>(in->Below(2 * kHalveAt));
    entry.gap_ns = in->I64();
    if (entry.gap_ns < kMinGapNs || entry.gap_ns > kMaxGapNs) return false;
  }
  return in->ok();
}

}  // namespace spanwatch::core
