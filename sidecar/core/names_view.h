// The operations that a reader may ask for. Copies; strings are owned.
#ifndef SPANWATCH_SIDECAR_CORE_NAMES_VIEW_H_
#define SPANWATCH_SIDECAR_CORE_NAMES_VIEW_H_

#include <string>
#include <vector>

#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

struct OperationNames {
  std::string service, operation;
  std::vector<SpanKind> kinds;  // ascending, at least one
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_NAMES_VIEW_H_
