// The answer of GET /api/v1/errors: docs/api.md is the contract, docs/errors.md says what is counted. Any thread;
// invalid UTF-8 is repaired, never thrown.
#ifndef SPANWATCH_SIDECAR_HTTP_ERRORS_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_ERRORS_JSON_H_

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "sidecar/core/errors_view.h"
#include "sidecar/http/params.h"

namespace spanwatch::http {

inline constexpr std::size_t kMaxErrorLimit = 500;

// All conditions hold together; the text ones are exact.
struct ErrorsQuery {
  std::optional<std::string> service, operation, type;
  std::int64_t since_ns = INT64_MIN;  // seen then or later
  std::size_t limit = 50;
};

// Unknown, repeated and bad parameters are errors; an empty value is as good as none.
tl::expected<ErrorsQuery, ParamError> ParseErrorsQuery(const Params& params, std::int64_t now_ns);

std::string ErrorsJson(const core::ErrorsView& view, const ErrorsQuery& query);

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_ERRORS_JSON_H_
