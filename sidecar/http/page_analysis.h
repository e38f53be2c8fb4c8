// What a trace's page says before its spans: where the time went, what the analysis found, what to do. Everything from
// spans is escaped. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_PAGE_ANALYSIS_H_
#define SPANWATCH_SIDECAR_HTTP_PAGE_ANALYSIS_H_

#include <string>

#include "sidecar/core/analysis.h"
#include "sidecar/core/snapshot.h"

namespace spanwatch::http {

// Empty if there is nothing to say. Links to spans as "#s-<span id>".
std::string AnalysisPanels(const core::TraceCopy& trace, const core::TraceAnalysis& analysis);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_PAGE_ANALYSIS_H_
