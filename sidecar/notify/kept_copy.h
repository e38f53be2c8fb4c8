// A trace that was kept for alerts. Plain values.
#ifndef SPANWATCH_SIDECAR_NOTIFY_KEPT_COPY_H_
#define SPANWATCH_SIDECAR_NOTIFY_KEPT_COPY_H_

#include <string>
#include <vector>

#include "sidecar/core/snapshot.h"

namespace spanwatch::notify {

struct KeptCopy {
  core::TraceCopy trace;
  bool cut = false;                 // it was too large: only the critical path, its ancestors and the root
  std::vector<std::string> alerts;  // names of those that refer to it, each once
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_KEPT_COPY_H_
