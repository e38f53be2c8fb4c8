// GET /api/v1/overview as JSON text, from plain copies. The keys are told in docs/overview.md: durations in ms, rates a
// second, error rates and shares 0..1, MB of 2^20 bytes. Invalid UTF-8 is repaired. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_OVERVIEW_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_OVERVIEW_JSON_H_

#include <string>
#include <tl/expected.hpp>

#include "sidecar/core/health_view.h"
#include "sidecar/core/overview_view.h"
#include "sidecar/http/params.h"

namespace spanwatch::http {

inline constexpr std::size_t kMaxOverviewLimit = 10'000;

struct OverviewQuery {
  std::string service;      // empty: all
  std::size_t limit = 100;  // operations; the ranked lists have at most 10 each
};

// Unknown, repeated and bad parameters are errors; an empty value is as good as none.
tl::expected<OverviewQuery, ParamError> ParseOverviewQuery(const Params& params);

std::string OverviewJson(const core::OverviewView& view, const core::HealthView& health, const OverviewQuery& query);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_OVERVIEW_JSON_H_
