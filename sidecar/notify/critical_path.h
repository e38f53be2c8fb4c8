// The top of a trace's critical path, as an alert's message shows it: few operations and their shares. Plain values and
// pure functions, any thread.
#ifndef SPANWATCH_SIDECAR_NOTIFY_CRITICAL_PATH_H_
#define SPANWATCH_SIDECAR_NOTIFY_CRITICAL_PATH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sidecar/core/analysis.h"
#include "sidecar/core/codec.h"

namespace spanwatch::notify {

inline constexpr std::size_t kPathLines = 3;

struct CriticalPath {
  struct Line {
    std::string operation, service;  // cut to 256 bytes, else as they came; `service` empty: the trace has only one
    std::int64_t critical_ns = 0;
    double share = 0;         // of the root's duration, 0..1
    std::uint32_t spans = 0;  // of that operation, on the path
    friend bool operator==(const Line&, const Line&) = default;
  };
  std::vector<Line> top;   // largest share first, at most kPathLines, above 1 % but the first; empty: nothing is known
  std::uint32_t more = 0;  // operations on the path that are not among them
  double more_share = 0;   // and their share
  bool open = false;       // the trace was not complete, and its root or the parent of a span not here yet
  friend bool operator==(const CriticalPath&, const CriticalPath&) = default;
};

// `analysis` is that of `trace`.
CriticalPath TopOfPath(const core::TraceCopy& trace, const core::TraceAnalysis& analysis);

// One line each, ready for a message: escaped, at most about 900 UTF-16 units in all. The others share a line, if they
// are worth it. Empty if nothing is known.
std::string PathText(const CriticalPath& path);

// As bytes. Load: false if the bytes are not such; *out is then unspecified.
void Save(const CriticalPath& path, core::CodecWriter* out);
bool Load(core::CodecReader* in, CriticalPath* out);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_CRITICAL_PATH_H_
