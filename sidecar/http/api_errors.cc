// GET /api/v1/errors.
#include "sidecar/http/errors_json.h"
#include "sidecar/http/router.h"

namespace spanwatch::http {

void Router::Errors(const Request& request, Response* response) const {
  const auto query = ParseErrorsQuery(request.params, hooks_.now_ns ? hooks_.now_ns() : 0);
  if (!query) return Fail(response, 400, query.error().error, query.error().field);
  response->body = ErrorsJson(hooks_.engine->GetErrors(), *query);
}

}  // namespace spanwatch::http
