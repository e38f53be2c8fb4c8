// What a window rule counts of one group: sums by slot of a window's length / 60 or so. The current slot is open, past
// ones are kept as bytes (codec.h), some five each, and lose nothing by it; slots without anything take no room. With
// durations, each slot also has a sketch of them (overview_sketch.h). Not thread-safe.
#ifndef SPANWATCH_SIDECAR_CORE_WINDOW_SLOTS_H_
#define SPANWATCH_SIDECAR_CORE_WINDOW_SLOTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/core/codec.h"
#include "sidecar/core/overview_sketch.h"

namespace spanwatch::core {

class WindowSlots {
 public:
  struct Counts {
    double total = 0;       // spans by weight, tokens, dollars
    double part = 0;        // of them: failed or bad ones by weight; or ns
    std::uint64_t raw = 0;  // spans that came
  };

  // REQUIRES: slot_ns > 0, slots > 0.
  void Configure(std::int64_t slot_ns, std::int64_t slots) {
    slot_ns_ = slot_ns;
    slots_ = slots;
  }
  std::int64_t slot_ns() const { return slot_ns_; }
  // The slot of `now_ns`, to add to. `room`: bytes that past slots may take more; without room their sketches go.
  // Returns false if a sketch had to go.
  bool Turn(std::int64_t now_ns, std::uint64_t room);
  bool IsCurrent(std::int64_t now_ns) const { return now_ns < end_ns_; }
  Counts& current() { return current_; }
  void AddDuration(std::int64_t duration_ns, double weight);

  // The slot that was added to last; -1: none.
  std::int64_t newest() const { return number_; }
  // Nothing of the last `windows` windows before `now_ns`.
  bool IsIdle(std::int64_t now_ns, std::int64_t windows) const {
    return number_ <= now_ns / slot_ns_ - windows * slots_;
  }
  // Over the last `slots` slots, that of `now_ns` included; and the sketches of all, added to *sketch if that is asked.
  Counts Sum(std::int64_t now_ns, std::int64_t slots, Sketch* sketch = nullptr) const;
  std::int64_t slots() const { return slots_; }

  std::uint64_t bytes() const;  // on the heap, by formula
  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in);  // into one that is configured

 private:
  struct Bucket {
    std::uint32_t bucket = 0;
    double count = 0;
  };
  struct Past {
    std::int64_t number = 0;
    Counts counts;
    std::string_view sketch;
  };
  static bool Read(CodecReader* in, std::int64_t before, Past* past);
  static bool IsSketch(std::string_view bytes);
  void Append(std::int64_t before, bool with_sketch, std::string* out) const;
  bool CanRead() const;

  std::int64_t slot_ns_ = 1, slots_ = 1;
  std::int64_t number_ = -1, end_ns_ = INT64_MIN;  // of the current slot
  Counts current_;
  std::unique_ptr<std::vector<Bucket>> durations_;  // of the current slot, by bucket
  std::int64_t base_ = 0;                           // the number before the first past slot
  std::int64_t last_ = 0;                           // that of the last
  std::string past_;                                // oldest first
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_WINDOW_SLOTS_H_
