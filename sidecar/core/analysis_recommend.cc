// What to do about it: the five classes of recommendations and two more. Triggers: docs/analysis.md.
#include <algorithm>
#include <map>
#include <utility>

#include "sidecar/core/analysis_tree.h"

namespace spanwatch::core::analysis {
namespace {

constexpr double kEnoughCalls = 10;     // of the last hour, before its share says something
constexpr double kMostCalls = 0.5;      // of them over the threshold: more than half
constexpr double kManyTimeouts = 3;     // in the last hour, and
constexpr double kOftenTimeouts = 0.1;  // of its calls; or in one trace:
constexpr std::uint32_t kManyInOneTrace = 3;
constexpr std::int64_t kWorthPart = 20;   // a saving must be over 1/20 of the whole
constexpr std::int64_t kCostlyPart = 10;  // expensive: over 1/10 of the whole and of the slow threshold

class Adviser {
 public:
  Adviser(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out)
      : trace_(*tree.trace), tree_(tree), options_(options), out_(*out) {
    for (const OperationHistory& each : options.history) history_.try_emplace({each.service, each.operation}, &each);
  }

  void Advise() {
    Algorithm();
    Caching();
    CircuitBreaker();
    MemoryUse();
    Refactoring();
    Parallel();
    ErrorHandling();
    Rank(&out_.recommendations);
  }

 private:
  void Say(const char* code, InsightSeverity severity, std::uint32_t span, std::int64_t cost_ns, std::string text) {
    out_.recommendations.push_back({code, severity, std::move(text), span, cost_ns});
  }
  std::string Name(std::uint32_t span) const { return Short(trace_.spans[span].name); }
  const OperationHistory* History(std::string_view service, std::string_view operation) const {
    const auto at = history_.find({service, operation});
    return at == history_.end() ? nullptr : at->second;
  }
  static std::string Number(double count) { return FormatValue(count, Unit::kCount); }

  void Algorithm() {
    for (const Bottleneck& each : out_.bottlenecks) {
      const OperationHistory* history = History(each.service, each.operation);
      if (history == nullptr || history->calls < kEnoughCalls || !(history->over_threshold > kMostCalls)) continue;
      if (each.critical_ns <= out_.root_duration_ns / kCostlyPart ||
          out_.spans[each.worst].duration_ns <= options_.slow_warning_ns) {
        continue;
      }
      Say("algorithm", InsightSeverity::kWarning, each.worst, each.critical_ns,
          "Optimize " + Short(each.operation) + ": " + FormatValue(history->over_threshold, Unit::kRatio) + " of its " +
              Number(history->calls) + " calls in the last hour took over " + Ns(options_.slow_warning_ns) +
              ", and it itself took " + Ns(each.critical_ns) + " of this trace.");
    }
  }

  void Caching() {
    std::vector<std::uint32_t> said;
    for (const RepeatedCalls& each : out_.repeated_calls) {
      const bool costly =
          each.wall_ns > out_.root_duration_ns / kCostlyPart && each.wall_ns > options_.slow_warning_ns / kCostlyPart;
      const std::uint32_t operation = tree_.operation[each.first];
      if (!costly || std::find(said.begin(), said.end(), operation) != said.end()) continue;
      said.push_back(operation);
      Say("caching", InsightSeverity::kWarning, each.first, each.wall_ns,
          "Consider caching or batching " + Short(each.operation) + ": " + Count(each.count, "call") +
              " under one parent took " + Ns(each.wall_ns) + " (" + Share(each.wall_ns, out_.root_duration_ns) +
              " of the trace).");
      if (said.size() == kMaxInsights) return;
    }
  }

  void CircuitBreaker() {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> timeouts(tree_.operation_example.size(), {0, kNoSpan});
    for (const SpanError& error : out_.errors) {
      if (error.root_cause != error.span || !IsTimeout(trace_.spans[error.span], error)) continue;
      auto& [count, first] = timeouts[tree_.operation[error.span]];
      if (count++ == 0) first = error.span;
    }
    for (const auto& [count, first] : timeouts) {
      if (count == 0) continue;
      const SpanCopy& span = trace_.spans[first];
      const OperationHistory* history = History(span.service, span.name);
      const bool often = history != nullptr && history->timeouts >= kManyTimeouts &&
                         history->timeouts >= kOftenTimeouts * history->calls;
      if (!often && count < kManyInOneTrace) continue;
      Say("circuit_breaker", InsightSeverity::kWarning, first, out_.spans[first].duration_ns,
          "Put a circuit breaker before " + Short(span.name) + ": it timed out " + Count(count, "time") +
              " in this trace" +
              (often ? ", and in " + Number(history->timeouts) + " of " + Number(history->calls) +
                           " calls in the last hour"
                     : "") +
              ".");
    }
  }

  void MemoryUse() {
    if (!out_.memory || out_.memory->efficiency == MemoryEfficiency::kGood) return;
    Say("memory", InsightSeverity::kWarning, out_.memory->grower, 0,
        "Look at what " + Name(out_.memory->grower) + " keeps or loads at once: the process grew by " +
            Bytes(*out_.memory->delta_bytes) + " while it ran; stream or release what is not needed.");
  }

  void Refactoring() {
    if (out_.depth <= options_.depth_warning) return;
    const Recursion recursion = FindRecursion(tree_, out_);
    const std::string levels = std::to_string(out_.depth) + " levels";
    if (recursion.operation == kNoSpan) {
      Say("refactoring", InsightSeverity::kWarning, recursion.deepest, 0,
          "Flatten the calls above " + Name(recursion.deepest) + ": " + levels + " of nesting.");
    } else {
      Say("refactoring", InsightSeverity::kWarning, recursion.operation, 0,
          "Make " + Name(recursion.operation) + " a loop or bound its recursion: it is on " +
              std::to_string(recursion.times) + " of " + levels + ".");
    }
  }

  void Parallel() {
    if (out_.sequential.empty()) return;
    const SequentialCalls& best = out_.sequential.front();
    if (best.saving_ns <= out_.root_duration_ns / kWorthPart) return;
    Say("parallel", InsightSeverity::kInfo, best.spans.front(), best.saving_ns,
        "If they do not need each other's results, run the " + Count(best.spans.size(), "call") + " from " +
            Name(best.spans.front()) + " to " + Name(best.spans.back()) + " side by side: up to " + Ns(best.saving_ns) +
            " (" + Share(best.saving_ns, out_.root_duration_ns) + ") less.");
  }

  void ErrorHandling() {
    for (const ErrorChain& chain : out_.error_chains) {
      if (chain.handled_by != kNoSpan || chain.spread.size() < 2) continue;
      Say("error_handling", InsightSeverity::kWarning, chain.root_cause, out_.spans[chain.root_cause].duration_ns,
          "Handle errors of " + Name(chain.root_cause) + " where it is called: this one failed " +
              Count(chain.spread.size() - 1, "span") + " up to " + Name(chain.spread.back()) + ".");
      return;
    }
  }

  const TraceCopy& trace_;
  const Tree& tree_;
  const AnalysisOptions& options_;
  TraceAnalysis& out_;
  std::map<std::pair<std::string_view, std::string_view>, const OperationHistory*> history_;
};

}  // namespace

void Recommendations(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out) {
  Adviser(tree, options, out).Advise();
}

}  // namespace spanwatch::core::analysis
