// The HTML pages: whole documents without scripts and outside resources. Everything from spans is escaped. The style
// stands in one <style> element with `nonce`, which the answer's Content-Security-Policy must name. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_PAGE_H_
#define SPANWATCH_SIDECAR_HTTP_PAGE_H_

#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/analysis.h"
#include "sidecar/core/errors_view.h"
#include "sidecar/core/health_view.h"
#include "sidecar/core/overview_view.h"
#include "sidecar/core/snapshot.h"
#include "sidecar/http/kept.h"
#include "sidecar/http/muted.h"

namespace spanwatch::http {

// Spans shown on a trace's page; the API gives all.
inline constexpr std::size_t kMaxPageSpans = 2000;

// `analysis` is that of `trace`. A trace that was kept for an alert says so.
std::string TracePage(const core::TraceCopy& trace, const core::TraceAnalysis& analysis, std::string_view nonce,
                      const KeptNote& kept = {});
// Also for ids that are none. Says what removes a trace.
std::string MissingTracePage(std::string_view id, const core::StoreView& store, std::string_view nonce);
struct IndexData {
  core::StatsView stats;
  std::vector<core::TraceSummary> traces;
  std::vector<core::Incident> incidents;
  core::HealthView health;
  core::OverviewView overview;
  core::ErrorsView errors;
  MutedAlerts muted = {};
  std::vector<std::string> notices = {};  // what is not well with the sidecar itself, as plain text
};
std::string IndexPage(const IndexData& data, std::string_view nonce);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_PAGE_H_
