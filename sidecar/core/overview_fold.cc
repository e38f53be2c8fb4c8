// What the overview does when its memory is full: quiet operations are added to the "(other)" of their service.
#include <algorithm>

#include "sidecar/core/overview.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kCandidates = 8;  // the quietest of these is folded

}  // namespace

void Overview::Shrink(const Entry* keep) {
  while (bytes() > max_bytes_) {
    Entry* entry = Quietest(false, keep);
    if (entry == nullptr) entry = Quietest(true, keep);
    if (entry == nullptr) return;  // one "(other)" a kind for all, and `keep`
    Fold(entry);
  }
}

// Of a few in turn, the one with the fewest calls.
Overview::Entry* Overview::Quietest(bool others, const Entry* keep) {
  Entry* found = nullptr;
  double fewest = 0;
  std::size_t candidates = 0;
  for (std::size_t steps = entries_.size(); steps > 0 && candidates < kCandidates; --steps) {
    fold_at_ = fold_at_ + 1 < entries_.size() ? fold_at_ + 1 : 0;
    Entry* entry = entries_[fold_at_].get();
    if (entry == nullptr || entry == keep) continue;
    const bool other = entry->operation == kOtherOperation;
    if (other != others || (other && entry->service == 0)) continue;
    double calls = entry->now.calls;
    for (const MinuteCounts& minute : entry->minutes) calls += static_cast<double>(minute.calls);
    ++candidates;
    if (found != nullptr && calls >= fewest) continue;
    found = entry;
    fewest = calls;
  }
  return found;
}

// An operation goes into the "(other)" of its service, an "(other)" into that of the services that are too many.
void Overview::Fold(Entry* entry) {
  const bool other = entry->operation == kOtherOperation;
  Entry* const to = Other(other ? 0 : entry->service, entry->kind);
  Pack(entry);
  Tidy(entry);
  if (!other) {
    MarkFolded(entry->operation, true);
    for (const MinuteCounts& minute : entry->minutes) folded_calls_ += static_cast<double>(minute.calls);
  }
  if (to->minute != minute_) {
    Pack(to);
    Tidy(to);
  }
  Take(*entry, to);
  Weigh(to);
  Free(entry);
}

// REQUIRES: both are packed and tidied, but for the running minute of `to`.
void Overview::Take(const Entry& from, Entry* to) {
  FlatBuffer<MinuteCounts> minutes;
  std::size_t a = 0, b = 0;
  while (a < from.minutes.size() || b < to->minutes.size()) {
    const bool mine =
        b == to->minutes.size() || (a < from.minutes.size() && from.minutes[a].minute < to->minutes[b].minute);
    MinuteCounts sum = mine ? from.minutes[a] : to->minutes[b];
    if (!mine && a < from.minutes.size() && from.minutes[a].minute == sum.minute) {
      sum.calls += from.minutes[a].calls;
      sum.errors += from.minutes[a].errors;
      sum.duration_ns += from.minutes[a].duration_ns;
      ++a;
      ++b;
    } else {
      ++(mine ? a : b);
    }
    minutes.Add() = sum;
  }
  minutes.Shrink();
  to->minutes = std::move(minutes);
  TakeSlots(from, to);
}

void Overview::TakeSlots(const Entry& from, Entry* to) {
  FlatBuffer<std::uint8_t> slots;
  std::size_t a = 0, b = 0;
  while (a < from.slots.size() || b < to->slots.size()) {
    const bool only_a = b == to->slots.size(), only_b = a == from.slots.size();
    const SketchSlot first = only_b ? SketchSlot() : ReadSlot(&from.slots[a]);
    const SketchSlot second = only_a ? SketchSlot() : ReadSlot(&to->slots[b]);
    if (!only_a && !only_b && first.minute == second.minute && first.minutes == second.minutes) {
      Extras extras = first.extras;
      AddExtras(second.extras, &extras);
      sum_.Clear();
      sum_.Add(first.buckets);
      sum_.Add(second.buckets);
      WriteSlot(first.minute, first.minutes == kFiveMinutes, extras, sum_, &slots);
      a += first.bytes;
      b += second.bytes;
    } else if (only_a || (!only_b && first.minute < second.minute)) {
      slots.Append(&from.slots[a], first.bytes);
      a += first.bytes;
    } else {
      slots.Append(&to->slots[b], second.bytes);
      b += second.bytes;
    }
  }
  slots.Shrink();
  to->slots = std::move(slots);
}

}  // namespace spanwatch::core
