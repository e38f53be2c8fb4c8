#include "sidecar/http/events_json.h"

#include <nlohmann/json.hpp>

#include "sidecar/http/text.h"

namespace spanwatch::http {
namespace {

using Json = nlohmann::ordered_json;

std::string Line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string HelloJson(std::string_view version, std::uint64_t generation) {
  return Line({{"version", version}, {"generation", generation}});
}

std::string HealthText(const core::ServiceHealth& service, core::HealthStatus before) {
  return Line({{"serviceName", service.service},
               {"status", core::ToString(service.status)},
               {"previousStatus", core::ToString(before)},
               {"since", TimeText(service.since_ns)},
               {"avgDuration", service.avg_duration_ns / 1e6},
               {"errorRate", service.error_rate},
               {"issues", service.issues},
               {"recommendations", service.recommendations}});
}

}  // namespace spanwatch::http
