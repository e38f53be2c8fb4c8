// The API's answers as JSON text, from plain copies. docs/api.md is the contract: durations in ms, error rates 0..1, MB
// of 2^20 bytes, ids in lower-case hex, integers beyond 2^53 as strings. Invalid UTF-8 is repaired, never thrown. Any
// thread.
#ifndef SPANWATCH_SIDECAR_HTTP_API_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_API_JSON_H_

#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/rule.h"
#include "sidecar/core/rule_status.h"
#include "sidecar/core/snapshot.h"
#include "sidecar/http/kept.h"
#include "sidecar/http/muted.h"

namespace spanwatch::http {

// {"error", "field"}; without `field` if it is empty.
std::string ErrorJson(std::string_view error, std::string_view field);
// `at_start`: the same at the end of the last start; what came since is `sinceStart`.
std::string StatsJson(const core::StatsView& stats, const core::StatsView& at_start);
// `total`: how many match the query, on all pages.
std::string TracesJson(const std::vector<core::TraceSummary>& traces, const core::TraceQuery& query, std::size_t total);
// With "kept" and "cut" if it was kept for an alert.
std::string TraceJson(const core::TraceCopy& trace, const KeptNote& kept = {});
// `state`: only incidents in it; empty: all.
std::string AlertsJson(const std::vector<core::Incident>& incidents, std::string_view state,
                       const MutedAlerts& muted = {});
// `status`: of the rules, in their order; may be shorter.
std::string RulesJson(const core::RuleSet& rules, const std::vector<core::Incident>& incidents,
                      const std::vector<core::RuleStatus>& status = {});

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_API_JSON_H_
