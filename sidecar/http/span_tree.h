// The spans of a trace in the order of a tree: children under their parent, by start time. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_SPAN_TREE_H_
#define SPANWATCH_SIDECAR_HTTP_SPAN_TREE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sidecar/core/snapshot.h"

namespace spanwatch::http {

struct TreeRow {
  std::size_t span = 0;     // index into TraceCopy::spans
  std::uint32_t level = 1;  // 1: a root, an orphan, or a span of a cycle that has neither
};

// Every span exactly once, whatever parents they claim.
std::vector<TreeRow> OrderAsTree(const std::vector<core::SpanCopy>& spans);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_SPAN_TREE_H_
