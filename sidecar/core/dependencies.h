// Who calls whom: each parent and child of a stored trace that are of different services. Counted when a trace
// completes; each pair once. A call failed if the child failed, or the parent did and is a client or producer. The
// client's side lasts as long as such a parent; else, nobody having measured the call, as long as the child. Bounded:
// calls between services for which there is no room count as from "(other)" to "(other)". Not thread-safe: the
// engine's mutex guards it.
#ifndef SPANWATCH_SIDECAR_CORE_DEPENDENCIES_H_
#define SPANWATCH_SIDECAR_CORE_DEPENDENCIES_H_

#include <tsl/robin_map.h>

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "sidecar/core/blocks.h"
#include "sidecar/core/catalog.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/hash.h"
#include "sidecar/core/health_view.h"
#include "sidecar/core/trace_store.h"

namespace spanwatch::core {

inline constexpr std::size_t kMaxEdges = 2000;  // and one for what is over it

class Dependencies {
 public:
  // A trace that is complete, perhaps not for the first time: what of it was counted before is not counted again. Looks
  // at `limit` spans or a few more; true: there are more, and nothing may change until they were counted.
  bool OnTrace(std::int64_t now_ns, const Catalog& catalog, Trace* trace, std::uint32_t limit);
  void ForgetService(std::uint32_t service);  // its number is free: others may get it
  std::uint64_t bytes() const;                // by formula
  // Metrics count from here on.
  void Mark();

  // Numbers of edges run below slots(). False: not in use.
  std::size_t slots() const { return edges_.size(); }
  bool Show(std::int64_t now_ns, std::size_t slot, const Catalog& catalog, Dependency* out) const;

  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in, std::size_t services);  // into a fresh object; false: not such bytes

 private:
  static constexpr std::uint32_t kMinutes = 5, kFives = 12;
  struct Slot {
    std::uint32_t number = 0;  // of minutes, or of five, since the epoch; 0: none
    float calls = 0, failed = 0, duration_ms = 0;
  };
  struct Totals {
    double calls = 0, failed = 0;
    DurationHistogram client_side, server_side;
  };
  struct Edge {
    bool live = false;
    std::uint32_t client = 0, server = 0;
    Totals totals;
    std::unique_ptr<Totals> at_mark;  // null: nothing
    std::array<Slot, kMinutes> minutes;
    std::array<Slot, kFives> fives;
  };

  // Of the trace that is being counted: how many of its spans were looked at.
  struct Progress {
    std::uint32_t new_spans = 0, old_spans = 0;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> parents;  // new ones, by id, of spans that were here before
  };

  static std::uint64_t KeyOf(std::uint32_t client, std::uint32_t server) {
    return std::uint64_t{client} << 32 | server;
  }
  Edge& EdgeOf(std::uint32_t client, std::uint32_t server);
  Edge& Obtain(std::uint32_t client, std::uint32_t server);
  bool CountNew(std::int64_t now_ns, const Catalog& catalog, const Trace& trace, std::uint32_t limit);
  bool CountOld(std::int64_t now_ns, const Catalog& catalog, const Trace& trace, std::uint32_t limit);
  void CountPair(std::int64_t now_ns, const Catalog& catalog, const StoredSpan& parent, const StoredSpan& child);
  template <std::size_t N>
  static void Count(std::uint32_t number, const StoredSpan& child, bool failed, std::array<Slot, N>* slots);
  template <std::size_t N>
  static Dependency::Window WindowOf(const std::array<Slot, N>& slots, std::uint32_t number);
  std::vector<const Edge*> Sorted() const;

  Progress progress_;
  Blocks<Edge, 3> edges_;
  std::vector<std::uint32_t> free_;
  tsl::robin_map<std::uint64_t, std::uint32_t, U64Hash> index_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_DEPENDENCIES_H_
