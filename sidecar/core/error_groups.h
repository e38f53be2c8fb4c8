// Failed spans, grouped by operation, type and normalised message. At most kMaxErrorGroups; the one not seen for
// longest goes, and what it had is counted as forgotten, so that the total stays exact. Everything is counted in engine
// time, nothing depends on the order of a table. Not thread-safe: the engine's mutex guards it.
#ifndef SPANWATCH_SIDECAR_CORE_ERROR_GROUPS_H_
#define SPANWATCH_SIDECAR_CORE_ERROR_GROUPS_H_

#include <tsl/robin_map.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/blocks.h"
#include "sidecar/core/catalog.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/errors_view.h"
#include "sidecar/core/hash.h"
#include "sidecar/core/span_batch.h"
#include "sidecar/core/trace_store.h"

namespace spanwatch::core {

inline constexpr std::size_t kMaxErrorGroups = 500;
inline constexpr std::uint64_t kMaxErrorBytes = 1 << 20;  // by formula; enough for all groups at their longest
inline constexpr std::size_t kMaxErrorType = 100;
inline constexpr std::size_t kMaxErrorExample = 300;

// Of counts by minute, the running minute last, and the age of the group. `weight`: how many errors one span stands
// for, on average.
ErrorTrend TrendOf(const std::array<double, kErrorMinutes>& per_minute, double weight, std::int64_t first_seen_ns,
                   std::int64_t last_seen_ns, std::int64_t now_ns);

class ErrorGroups {
 public:
  // Each failed span that is counted, whether stored or not. The number of its group: never 0, and not used again
  // while a stored span may bear it.
  std::uint32_t OnSpan(std::int64_t now_ns, std::uint32_t operation, const SpanView& span);
  // A trace with errors that is complete, perhaps not for the first time: what was said of it before is corrected.
  // Looks at `limit` failures or a few more; true: there are more, and nothing may change until they were looked at.
  bool OnTrace(Trace* trace, std::size_t limit);
  void ForgetOperation(std::uint32_t operation);  // its number is free: others may get it
  std::uint64_t bytes() const { return bytes_; }  // by formula

  // All but since_ns; only traces that are stored are named.
  ErrorsView Show(std::int64_t now_ns, const Catalog& catalog, const TraceStore& store) const;

  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in, std::size_t operations);  // into a fresh object; false: not such bytes

 private:
  static constexpr std::uint32_t kSlotBits = 9;
  static constexpr std::uint32_t kSlotMask = (1u << kSlotBits) - 1;
  static constexpr std::uint32_t kNoOperation = UINT32_MAX;
  static constexpr std::size_t kExamples = 5;
  static constexpr std::size_t kPartners = 8;        // more than are shown: the weakest gives way to a new one
  static constexpr std::size_t kGroupsOfATrace = 8;  // that are taken as occurring together
  static constexpr std::size_t kRecent = 64;         // a power of two
  static_assert(kMaxErrorGroups <= kSlotMask + 1);

  struct Partner {
    std::uint32_t group = 0;  // 0: none
    std::uint32_t traces = 0;
  };
  struct Group {
    std::uint32_t number = 0;                    // its slot in the lower bits, `generation` above; 0: free
    std::uint32_t generation = 0;                // how often the slot was taken
    std::uint32_t older = kNone, newer = kNone;  // slots, in order of last seen
    std::uint32_t operation = 0;
    std::string type, message, example;
    bool example_whole = true;  // not cut
    std::uint64_t spans = 0, traces_seen = 0;
    double count = 0, judged = 0, root_causes = 0;
    std::int64_t first_seen_ns = 0, last_seen_ns = 0;
    std::int64_t minute = 0;  // the last that is in `minutes`, at minute % kErrorMinutes
    std::array<double, kErrorMinutes> minutes{};
    std::array<TraceId, kExamples> traces{};  // the newest distinct ones, newest first
    TraceId first_trace{};
    std::array<Partner, kPartners> partners{};
  };
  // Of the trace that is being looked at.
  struct Progress {
    void NoteGroup(std::uint32_t group, bool was_known);
    std::size_t marked = 0, counted = 0;  // failures
    std::array<std::uint32_t, kGroupsOfATrace> groups{};
    std::size_t count = 0, known = 0;  // of the groups: distinct; of them those of the last completion
    std::uint32_t latest = kNone;
  };
  struct Key {
    std::uint32_t operation;
    std::string_view type, message;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      const std::uint64_t type = XXH3_64bits_withSeed(key.type.data(), key.type.size(), seed + key.operation);
      return XXH3_64bits_withSeed(key.message.data(), key.message.size(), type);
    }
    std::uint64_t seed = TableSeed();
  };

  static std::uint64_t BytesOf(const Group& group);
  static void Roll(Group* group, std::int64_t minute);
  static void NoteTrace(Group* group, const TraceId& id);
  Group* Find(std::uint32_t number);
  const Group* Find(std::uint32_t number) const { return const_cast<ErrorGroups*>(this)->Find(number); }
  Group& Obtain(std::int64_t now_ns, std::uint32_t operation, std::string_view type, std::string_view message);
  std::uint32_t TakeSlot();
  void Forget(std::uint32_t slot);
  void Unlink(std::uint32_t slot);
  void LinkNewest(std::uint32_t slot);
  void MarkCauses(const Trace& trace, std::size_t limit);
  void CountCauses(const Trace& trace, std::size_t limit);
  void CountTogether();
  void NotePartner(Group* group, std::uint32_t partner);
  ErrorGroupView ShowGroup(const Group& group, std::int64_t now_ns, const Catalog& catalog,
                           const TraceStore& store) const;
  void SaveGroup(const Group& group, CodecWriter* out) const;
  bool LoadGroup(CodecReader* in, std::size_t operations, Group* group);
  bool LoadOrder(CodecReader* in);

  Blocks<Group> groups_;                   // by slot; a group stays where it is while the index refers to its texts
  std::vector<std::uint32_t> operations_;  // of each slot; kNoOperation: free
  std::vector<std::uint32_t> free_;        // slots
  std::uint32_t oldest_ = kNone, newest_ = kNone;
  tsl::robin_map<Key, std::uint32_t, KeyHash> index_;  // slots
  std::array<std::uint32_t, kRecent> recent_{};        // numbers: the last group of an operation, by operation
  std::uint64_t bytes_ = 0;
  double total_ = 0, forgotten_errors_ = 0;
  std::uint64_t forgotten_groups_ = 0;
  std::string message_;  // normalised; kept for its memory
  Progress progress_;
  std::vector<std::uint8_t> flags_;  // of the failures of that trace; kept for its memory
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ERROR_GROUPS_H_
