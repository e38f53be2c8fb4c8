// A trace as the few bytes that are kept of it for an alert: compressed, of a bounded size; what is too large is cut to
// its critical path. Pure functions, any thread.
#ifndef SPANWATCH_SIDECAR_NOTIFY_KEPT_BYTES_H_
#define SPANWATCH_SIDECAR_NOTIFY_KEPT_BYTES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sidecar/core/analysis.h"

namespace spanwatch::notify {

struct KeptBytes {
  std::string bytes;  // empty: not even the path fits
  bool cut = false;   // only the critical path, its ancestors and the root
};

// `analysis` is that of `trace`. Whole if it fits into `max_whole`, else cut to at most `max_cut` bytes.
KeptBytes Pack(const core::TraceCopy& trace, const core::TraceAnalysis& analysis, std::size_t max_whole,
               std::size_t max_cut);
// Nothing: these are not such bytes. Never takes more memory than kMaxUnpackedBytes and what a trace of them needs.
std::optional<core::TraceCopy> Unpack(std::string_view bytes);

inline constexpr std::size_t kMaxUnpackedBytes = std::size_t{4} << 20;

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_KEPT_BYTES_H_
