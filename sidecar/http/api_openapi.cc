// GET /api/v1/openapi.json.
#include "sidecar/http/openapi.h"
#include "sidecar/http/router.h"

namespace spanwatch::http {

void Router::OpenApi(const Request&, Response* response) const { response->body = kOpenApi; }

}  // namespace spanwatch::http
