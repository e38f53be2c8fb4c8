// The answer of GET /api/v1/traces/{id}/analysis: docs/analysis.md is the contract. Durations in ms, MB of 2^20 bytes,
// starts relative to the trace. Any thread; invalid UTF-8 is repaired, never thrown.
#ifndef SPANWATCH_SIDECAR_HTTP_ANALYSIS_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_ANALYSIS_JSON_H_

#include <string>

#include "sidecar/core/analysis.h"
#include "sidecar/http/kept.h"

namespace spanwatch::http {

// `analysis` is that of `trace`. With "kept" and "cut" if the trace was kept for an alert.
std::string AnalysisJson(const core::TraceCopy& trace, const core::TraceAnalysis& analysis, const KeptNote& kept = {});

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_ANALYSIS_JSON_H_
