// One trace of an anonymised export: who did what, when, for how long and how it ended; no attribute, no message, no id
// as it was. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_EXPORT_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_EXPORT_JSON_H_

#include <string>

#include "sidecar/core/snapshot.h"
#include "sidecar/http/anonymise.h"

namespace spanwatch::http {

// Appends one JSON object.
void AppendAnonymousTrace(const core::TraceCopy& trace, const Anonymiser& names, std::string* out);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_EXPORT_JSON_H_
