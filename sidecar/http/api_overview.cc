// GET /api/v1/overview.
#include "sidecar/http/overview_json.h"
#include "sidecar/http/router.h"

namespace spanwatch::http {

void Router::Overview(const Request& request, Response* response) const {
  const auto query = ParseOverviewQuery(request.params);
  if (!query) return Fail(response, 400, query.error().error, query.error().field);
  response->body = OverviewJson(hooks_.engine->GetOverview(), hooks_.engine->GetHealth(), *query);
}

}  // namespace spanwatch::http
