// A stored trace as Jaeger's UI model: one element of `data` in its query API, and what Jaeger UI loads from a file.
// Times are integers, microseconds; nothing is corrected: what is missing, lost or skewed is said in `warnings`.
// Pure; any thread.
#ifndef SPANWATCH_SIDECAR_HTTP_JAEGER_JSON_H_
#define SPANWATCH_SIDECAR_HTTP_JAEGER_JSON_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "sidecar/core/analysis.h"
#include "sidecar/core/snapshot.h"

namespace spanwatch::http {

// Appends {"traceID":...,"spans":[...],"processes":{...},"warnings":...}. REQUIRES: the trace has spans.
void AppendJaegerTrace(const core::TraceCopy& trace, std::string* out);

// The same in pieces. Not thread-safe.
class JaegerTraceWriter {
 public:
  // REQUIRES: the trace has spans, and outlives this.
  explicit JaegerTraceWriter(const core::TraceCopy* trace);

  // Appends one more span and, until *out has `size` bytes, those after it. False: that was the end of the trace.
  bool Append(std::size_t size, std::string* out);

 private:
  void AppendSpan(std::size_t index, std::string* out) const;
  void AppendTags(const core::SpanCopy& span, std::string* out) const;
  void AppendReferences(const core::SpanCopy& span, std::string* out) const;
  void AppendProcesses(std::string* out) const;
  std::vector<std::string> SpanWarnings(std::size_t index) const;
  std::vector<std::string> TraceWarnings() const;

  const core::TraceCopy& trace_;
  const std::string trace_id_;
  core::TraceAnalysis marks_;                                  // of spans, alone
  std::map<std::uint64_t, const core::MissingSpan*> missing_;  // by span id
  std::size_t next_ = 0;
};

}  // namespace spanwatch::http

#endif  // SPANWATCH_SIDECAR_HTTP_JAEGER_JSON_H_
