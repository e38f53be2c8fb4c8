// The tree that analysis works on, and its steps. Internal to analysis*.cc, but for BuildTree(), which also serves
// those who need its marks alone; any thread, nothing is kept.
#ifndef SPANWATCH_SIDECAR_CORE_ANALYSIS_TREE_H_
#define SPANWATCH_SIDECAR_CORE_ANALYSIS_TREE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/analysis.h"
#include "sidecar/core/incident.h"

namespace spanwatch::core::analysis {

// Parents are effective ones: `top`, a node beyond the spans, stands above the roots. Children are ordered by start,
// then index; a child comes after its parent in `top_down`.
struct Tree {
  const TraceCopy* trace = nullptr;
  std::uint32_t top = 0;                 // == number of spans
  std::vector<std::int64_t> start, end;  // of each node; clamped so that differences do not overflow; end >= start
  std::vector<std::uint32_t> parent;     // of each span; top at the top
  std::vector<std::uint32_t> level;      // of each node below top, top is 0
  std::vector<std::uint32_t> top_down;
  std::vector<std::uint32_t> operation;          // of each span: dense number of (service, name), by first appearance
  std::vector<std::uint32_t> operation_example;  // a span of each operation

  std::span<const std::uint32_t> Children(std::uint32_t node) const {
    return {children.data() + first_child[node], children.data() + first_child[node + 1]};
  }
  std::int64_t Duration(std::uint32_t node) const { return end[node] - start[node]; }
  std::vector<std::uint32_t> children, first_child;
};

// Fills parent, depth, duration, marks and the totals of `out`.
Tree BuildTree(const TraceCopy& trace, TraceAnalysis* out);

void SelfTimes(const Tree& tree, TraceAnalysis* out);
void CriticalPath(const Tree& tree, TraceAnalysis* out);
void Rankings(const Tree& tree, TraceAnalysis* out);  // bottlenecks, self times by operation, slowest, percentiles
void Calls(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out);
void Errors(const Tree& tree, TraceAnalysis* out);
void Memory(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out);
void Llm(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out);
void Insights(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out);
void Recommendations(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out);

bool Failed(const SpanCopy& span);
// Of another process than its parent, so with another clock.
bool OtherHost(const SpanCopy& child, const SpanCopy& parent);
const AttributeCopy* FindAttribute(const std::vector<AttributeCopy>& attributes, std::string_view key);
// The number of an attribute that is one; integer or double.
std::optional<double> Number(const SpanCopy& span, std::string_view key);
// As Number(), within +-2^62.
std::optional<std::int64_t> Integer(const SpanCopy& span, std::string_view key);
std::string_view Text(const SpanCopy& span, std::string_view key);
bool IsTimeout(const SpanCopy& span, const SpanError& error);
TurnClass ClassOf(const SpanCopy& span, TurnClass above);

// Text for sentences: at most 80 bytes, cut between characters; "?" if it is empty.
std::string Short(std::string_view text);
std::string Ns(std::int64_t ns);                                // "1.5 s"
std::string Bytes(std::int64_t bytes);                          // "120 MB"
std::string Share(std::int64_t part, std::int64_t whole);       // "12.5 %"
std::string Count(std::uint64_t count, std::string_view noun);  // "1 call", "2 calls"
// Ranks by severity, then cost; keeps kMaxInsights.
void Rank(std::vector<Insight>* insights);
// The operation that comes most often on the way from the deepest span to its root, if at least 3 times.
struct Recursion {
  std::uint32_t deepest = kNoSpan;
  std::uint32_t operation = kNoSpan;  // an example span; kNoSpan: none repeats
  std::uint32_t times = 0;
};
Recursion FindRecursion(const Tree& tree, const TraceAnalysis& analysis);

}  // namespace spanwatch::core::analysis

#endif  // SPANWATCH_SIDECAR_CORE_ANALYSIS_TREE_H_
