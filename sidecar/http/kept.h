// What is told of a trace that the store has forgotten and that was kept because alerts refer to it. Plain values.
#ifndef SPANWATCH_SIDECAR_HTTP_KEPT_H_
#define SPANWATCH_SIDECAR_HTTP_KEPT_H_

#include <string>
#include <vector>

#include "sidecar/core/snapshot.h"

namespace spanwatch::http {

struct KeptNote {
  bool kept = false;                // false: the trace is the store's own; the rest says nothing
  bool cut = false;                 // only the critical path, its ancestors and the root were kept
  std::vector<std::string> alerts;  // names of those that refer to it
};

struct KeptTrace {
  core::TraceCopy trace;
  KeptNote note;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_KEPT_H_
