// When a failure counts as a timeout: one rule for the analysis of a trace and for the overview. Pure; any thread.
#ifndef SPANWATCH_SIDECAR_CORE_TIMEOUTS_H_
#define SPANWATCH_SIDECAR_CORE_TIMEOUTS_H_

#include <cstdint>
#include <string_view>

namespace spanwatch::core {

// Type or message (of each the first 1024 bytes) says timeout, timed out or deadline exceeded, in any case; or the
// HTTP status is 408 or 504, which the type may give too. `http_status` 0: none.
bool SaysTimeout(std::string_view error_type, std::string_view error_message, std::int64_t http_status);

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_TIMEOUTS_H_
