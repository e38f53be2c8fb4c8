// The sampling threshold that OpenTelemetry carries in W3C tracestate ("ot=th:c"). Pure, any thread.
#ifndef SPANWATCH_SIDECAR_INGEST_TRACESTATE_H_
#define SPANWATCH_SIDECAR_INGEST_TRACESTATE_H_

#include <string_view>

namespace spanwatch::ingest {

// How many spans this one stands for: 2^56 / (2^56 - threshold), where the threshold is 1 to 14 hex digits, padded on
// the right with zeros. 1 if there is no (valid) threshold.
double AdjustedCount(std::string_view tracestate) noexcept;

}  // namespace spanwatch::ingest

#endif  // SPANWATCH_SIDECAR_INGEST_TRACESTATE_H_
