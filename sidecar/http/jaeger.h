// Jaeger's query API: the legacy routes that Grafana's Jaeger data source and older Jaeger UIs use, /api/v3 of newer
// ones, and /api/metrics of the Monitor tab. Pure but for reading the engine; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_JAEGER_H_
#define SPANWATCH_SIDECAR_HTTP_JAEGER_H_

#include <cstdint>

#include "sidecar/core/engine.h"
#include "sidecar/http/router.h"

namespace spanwatch::http {

// `request.path` is one of those that router.cc gives to Router::Jaeger.
void AnswerJaeger(const core::Engine& engine, std::int64_t now_ns, const Request& request, Response* response);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_JAEGER_H_
