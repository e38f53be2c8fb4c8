// Stored traces as OTLP/JSON (ProtoJSON with OTLP's own rules: hexadecimal ids, 64-bit integers as strings, enums as
// numbers). Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_OTLP_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_OTLP_JSON_H_

#include <string>

#include "sidecar/core/snapshot.h"

namespace spanwatch::http {

// Appends the ResourceSpans objects of one trace, separated by commas, without brackets around them.
void AppendOtlpJson(const core::TraceCopy& trace, std::string* out);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_OTLP_JSON_H_
