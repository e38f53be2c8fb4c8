// The spans of one large trace by id: where each stands, and how tall the chain is below one that is only waited for.
// Open addressing, at most 4/5 full; no removal. Its size follows from the number of ids alone. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_CORE_SPAN_INDEX_H_
#define SPANWATCH_SIDECAR_CORE_SPAN_INDEX_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "sidecar/core/hash.h"

namespace spanwatch::core {

inline constexpr std::uint32_t kNone = UINT32_MAX;

class SpanIndex {
 public:
  struct Entry {
    std::uint64_t id = 0;            // 0: free
    std::uint32_t span = kNone;      // kNone: only waited for
    std::uint16_t child_levels = 0;  // levels_below of the tallest child seen
  };

  const Entry* Find(std::uint64_t id) const {
    const Entry& entry = entries_[Place(id)];
    return entry.id == id ? &entry : nullptr;
  }
  // The entry of `id`, made if it is not there. Valid until the next call.
  Entry& At(std::uint64_t id) {
    std::size_t place = Place(id);
    if (entries_[place].id == id) return entries_[place];
    if ((used_ + 1) * 5 > entries_.size() * 4) {
      Grow();
      place = Place(id);
    }
    ++used_;
    entries_[place].id = id;
    return entries_[place];
  }
  std::uint64_t bytes() const { return entries_.size() * sizeof(Entry); }

 private:
  static constexpr std::size_t kSmallest = 64;

  std::size_t Place(std::uint64_t id) const {
    const std::size_t mask = entries_.size() - 1;
    std::size_t place = hash_(id) & mask;
    while (entries_[place].id != 0 && entries_[place].id != id) place = (place + 1) & mask;
    return place;
  }
  void Grow() {
    std::vector<Entry> old(entries_.size() * 2);
    old.swap(entries_);
    for (const Entry& entry : old) {
      if (entry.id != 0) entries_[Place(entry.id)] = entry;
    }
  }

  U64Hash hash_;
  std::size_t used_ = 0;
  std::vector<Entry> entries_ = std::vector<Entry>(kSmallest);
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_SPAN_INDEX_H_
