// A span as the native API shows it, written without a tree of JSON values: traces may have 100,000 of them. Pure; any
// thread.
#ifndef SPANWATCH_SIDECAR_HTTP_SPAN_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_SPAN_JSON_H_

#include <cstdint>
#include <string>

#include "sidecar/core/snapshot.h"

namespace spanwatch::http {

// Appends one object; its keys are told in docs/api.md.
void AppendSpanJson(const core::SpanCopy& span, std::int64_t trace_start_ns, std::string* out);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_SPAN_JSON_H_
