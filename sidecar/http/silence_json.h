// Silences as JSON and back, with the names of Alertmanager's API v2. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_SILENCE_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_SILENCE_JSON_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "sidecar/core/routing.h"

namespace spanwatch::http {

std::string SilenceJson(const core::Silence& silence, std::int64_t now_ns);
// `state`: only those in it; empty: all.
std::string SilencesJson(const std::vector<core::Silence>& silences, std::string_view state, std::int64_t now_ns);

// {"matchers": [{"name", "value", "isRegex": false, "isEqual": true}], "startsAt", "endsAt" or "duration": "2h",
// "createdBy", "comment", "id"}. Patterns are not compiled. Error: "FIELD: what is wrong, what is allowed", or without
// the field. What must hold of the values is checked by who takes them.
tl::expected<core::Silence, std::string> ParseSilence(std::string_view body, std::int64_t now_ns);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_SILENCE_JSON_H_
