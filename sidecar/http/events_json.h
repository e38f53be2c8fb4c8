// The data of live events: each one line of JSON. Any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_EVENTS_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_EVENTS_JSON_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "sidecar/core/health_view.h"
#include "sidecar/core/snapshot.h"

namespace spanwatch::http {

std::string HelloJson(std::string_view version, std::uint64_t generation);
std::string SummaryText(const core::TraceSummary& trace);                        // as in /api/v1/traces; api_json.cc
std::string AlertText(const core::Incident& incident, std::string_view change);  // as in /api/v1/alerts; api_json.cc
std::string HealthText(const core::ServiceHealth& service, core::HealthStatus before);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_EVENTS_JSON_H_
