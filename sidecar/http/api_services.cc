// GET /api/v1/services and /api/v1/dependencies.
#include <optional>

#include "sidecar/http/health_json.h"
#include "sidecar/http/router.h"

namespace spanwatch::http {

void Router::Services(const Request& request, Response* response) const {
  std::optional<core::HealthStatus> wanted;
  for (const auto& [name, value] : request.params) {
    if (name != "status") return Fail(response, 400, "unknown parameter: status is known", name);
    if (request.params.count(name) > 1) return Fail(response, 400, "given more than once", name);
    for (const auto status :
         {core::HealthStatus::kHealthy, core::HealthStatus::kWarning, core::HealthStatus::kCritical}) {
      if (value == ToString(status)) wanted = status;
    }
    if (!wanted) return Fail(response, 400, "must be \"healthy\", \"warning\" or \"critical\"", name);
  }
  response->body = ServicesJson(hooks_.engine->GetHealth(), wanted);
}

void Router::Dependencies(const Request& request, Response* response) const {
  if (!request.params.empty())
    return Fail(response, 400, "unknown parameter: none is known here", request.params.begin()->first);
  response->body = DependenciesJson(hooks_.engine->GetDependencies());
}

}  // namespace spanwatch::http
