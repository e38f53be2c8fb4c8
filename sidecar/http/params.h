// Query parameters of the API -> checked values. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_PARAMS_H_
#define SPANWATCH_SIDECAR_HTTP_PARAMS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "sidecar/core/snapshot.h"

namespace spanwatch::http {

using Params = std::multimap<std::string, std::string>;

inline constexpr std::size_t kMaxTraceLimit = 1000, kMaxTraceOffset = 1'000'000, kMaxSearchTags = 16;

struct ParamError {
  std::string error;  // a sentence: what is wrong, what is allowed
  std::string field;  // the parameter's name
};

// "1.5s", "250ms", "2h", "100us", "10ns", "3m", "1d"; a number without unit is ms. In ns; -1 if it is none of
// these, negative, or over 292 years.
std::int64_t ParseDurationNs(std::string_view text);

// ms since the epoch (may have a fraction), or RFC 3339 ("2024-05-01T10:00:00.5Z", "...+02:00"), or a duration before
// `now_ns` ("-15m"). False if it is none of these.
bool ParseTimeNs(std::string_view text, std::int64_t now_ns, std::int64_t* out);

// A search. Unknown, bad and repeated parameters are errors (only `tag` may be repeated); an empty value is as good as
// none. `extra`: one more parameter that the caller knows and reads itself.
tl::expected<core::TraceQuery, ParamError> ParseTraceQuery(const Params& params, std::int64_t now_ns,
                                                           std::string_view extra = {});

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_PARAMS_H_
