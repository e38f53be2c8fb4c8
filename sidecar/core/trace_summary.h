// A trace's summary, made a number of spans at a time, so that the engine's mutex need not be held over all of a large
// trace. Not thread-safe; what it is given must be read under that mutex.
#ifndef SPANWATCH_SIDECAR_CORE_TRACE_SUMMARY_H_
#define SPANWATCH_SIDECAR_CORE_TRACE_SUMMARY_H_

#include <cstdint>
#include <vector>

#include "sidecar/core/catalog.h"
#include "sidecar/core/snapshot.h"
#include "sidecar/core/trace_store.h"

namespace spanwatch::core {

class TraceSummariser {
 public:
  // What the trace says as a whole; spans that come later are left out.
  explicit TraceSummariser(const Trace& trace);

  std::uint64_t serial() const { return serial_; }
  std::uint32_t left() const { return end_ - next_; }  // spans
  bool done() const { return left() == 0; }
  // The next spans, at most `count`. REQUIRES: the same trace (its serial), which only grew.
  void Add(const Trace& trace, const Catalog& catalog, std::uint32_t count);
  // REQUIRES: done().
  TraceSummary Take(const Trace& trace, const Catalog& catalog);

 private:
  struct Service {
    std::uint32_t number, spans, errors;
  };

  TraceSummary summary_;
  std::uint64_t serial_;
  std::uint32_t next_ = 0, end_;
  std::uint32_t first_;  // the root; without one the earliest span
  bool rootless_;
  std::vector<Service> services_;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_TRACE_SUMMARY_H_
