// Traces that were completed lately, as Engine::CompletedSince() shows them. Copies; strings are owned.
#ifndef SPANWATCH_SIDECAR_CORE_COMPLETED_VIEW_H_
#define SPANWATCH_SIDECAR_CORE_COMPLETED_VIEW_H_

#include <cstdint>
#include <vector>

#include "sidecar/core/snapshot.h"

namespace spanwatch::core {

struct CompletedView {
  std::uint64_t last = 0;            // number of the latest completion; they count from 1 at the engine's start
  std::uint64_t missed = 0;          // asked for and not among `traces`: forgotten, evicted since, or over the limit
  std::vector<TraceSummary> traces;  // as they are now, oldest completion first
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_COMPLETED_VIEW_H_
