// The HTML pages: whole documents without scripts and outside resources. Everything from spans is escaped. The style
// stands in one <style> element with `nonce`, which the answer's Content-Security-Policy must name. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_PAGE_H_
#define SPANWATCH_SIDECAR_HTTP_PAGE_H_

#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/snapshot.h"

namespace spanwatch::http {

// Spans shown on a trace's page; the API gives all.
inline constexpr std::size_t kMaxPageSpans = 2000;

std::string TracePage(const core::TraceCopy& trace, std::string_view nonce);
// Also for ids that are none. Says what removes a trace.
std::string MissingTracePage(std::string_view id, const core::StoreView& store, std::string_view nonce);
std::string IndexPage(const core::StatsView& stats, const std::vector<core::TraceSummary>& traces,
                      const std::vector<core::Incident>& incidents, std::string_view nonce);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_PAGE_H_
