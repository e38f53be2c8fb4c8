// The description of the HTTP API: the text of docs/openapi.json.
#ifndef SPANWATCH_SIDECAR_HTTP_OPENAPI_H_
#define SPANWATCH_SIDECAR_HTTP_OPENAPI_H_

#include <string_view>

namespace spanwatch::http {

extern const std::string_view kOpenApi;

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_OPENAPI_H_
