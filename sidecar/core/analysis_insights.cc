// Sentences about what the figures show. Each stands on something in the trace; docs/analysis.md lists the triggers.
#include <algorithm>
#include <utility>

#include "sidecar/core/analysis_tree.h"

namespace spanwatch::core::analysis {
namespace {

constexpr std::size_t kOfAKind = 3;           // sentences of one code
constexpr std::uint32_t kManySlow = 5;        // slow spans, and
constexpr std::uint32_t kManySlowPart = 5;    // more than 1/5 of all
constexpr std::int64_t kWorthPart = 20;       // a saving must be over 1/20 of the whole
constexpr std::int64_t kNotablePart = 10;     // idle time and late work must be over 1/10
constexpr std::uint32_t kRecursionTimes = 3;  // an operation on one way to the root

std::string Where(std::string_view word, std::uint32_t span, const TraceCopy& trace) {
  return span == kNoSpan ? "" : " " + std::string(word) + " " + Short(trace.spans[span].name);
}

// "Timeout: no answer", "Timeout", "no answer" or "an error without a type".
std::string ErrorText(const SpanError& error) {
  if (error.type.empty() && error.message.empty()) return "an error without a type";
  if (error.type.empty()) return Short(error.message);
  return Short(error.type) + (error.message.empty() ? "" : ": " + Short(error.message));
}

class Writer {
 public:
  Writer(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out)
      : trace_(*tree.trace), tree_(tree), options_(options), out_(*out) {}

  void Write() {
    Bottlenecks();
    SlowOperations();
    CommonError();
    RootCauses();
    Repeated();
    Sequential();
    Retries();
    Nesting();
    MemoryGrowth();
    Gaps();
    Skew();
    Incomplete();
    Turn();
    Rank(&out_.insights);
  }

 private:
  void Say(const char* code, InsightSeverity severity, std::uint32_t span, std::int64_t cost_ns, std::string text) {
    out_.insights.push_back({code, severity, std::move(text), span, cost_ns});
  }
  std::string Name(std::uint32_t span) const { return Short(trace_.spans[span].name); }
  const SpanError& ErrorOf(std::uint32_t span) const {
    return *std::lower_bound(out_.errors.begin(), out_.errors.end(), span,
                             [](const SpanError& error, std::uint32_t index) { return error.span < index; });
  }

  void Bottlenecks() {
    std::size_t said = 0;
    for (const Bottleneck& each : out_.bottlenecks) {
      if (each.critical_ns <= options_.slow_warning_ns || said == kOfAKind) break;
      if (each.async_ns == each.critical_ns) continue;
      ++said;
      const bool critical = each.critical_ns > options_.slow_critical_ns;
      Say("bottleneck", critical ? InsightSeverity::kCritical : InsightSeverity::kWarning, each.worst, each.critical_ns,
          std::string(critical ? "Critical bottleneck: " : "Bottleneck: ") + Short(each.operation) + " itself took " +
              Ns(each.critical_ns) + " of " + Ns(out_.root_duration_ns) + " (" +
              Share(each.critical_ns, out_.root_duration_ns) + ")" +
              (each.spans > 1 ? " in " + Count(each.spans, "span") : "") + ".");
    }
  }

  void SlowOperations() {
    std::uint32_t slow = 0;
    for (const SpanAnalysis& span : out_.spans) slow += span.duration_ns > options_.slow_warning_ns ? 1 : 0;
    if (slow < kManySlow || std::uint64_t{slow} * kManySlowPart <= out_.span_count) return;
    Say("slow_operations", InsightSeverity::kWarning, out_.slowest_by_self, 0,
        "High number of slow operations: " + std::to_string(slow) + " of " + std::to_string(out_.span_count) +
            " spans took over " + Ns(options_.slow_warning_ns) + ".");
  }

  // An error counts where it began, not in each span that it went through.
  void CommonError() {
    std::vector<std::pair<std::string_view, std::uint32_t>> types;  // type, first span
    for (const SpanError& error : out_.errors) {
      if (error.root_cause == error.span && !error.type.empty()) types.emplace_back(error.type, error.span);
    }
    std::stable_sort(types.begin(), types.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::size_t most = 0, first = 0;
    for (std::size_t i = 0, j = 0; i < types.size(); i = j) {
      while (j < types.size() && types[j].first == types[i].first) ++j;
      if (j - i < most || (j - i == most && types[i].second > types[first].second)) continue;
      most = j - i;
      first = i;
    }
    if (most < 2) return;
    Say("common_error", InsightSeverity::kWarning, types[first].second, 0,
        "Most common error: " + Short(types[first].first) + " (" + Count(most, "occurrence") + ").");
  }

  std::string RootCauseText(const ErrorChain& chain) const {
    const std::uint32_t last = chain.spread.back();
    std::string text = Name(chain.root_cause) + " failed with " + ErrorText(ErrorOf(chain.root_cause));
    if (last != chain.root_cause) {
      text += "; it failed " + Count(chain.spread.size() - 1, "span") + " above it, up to " + Name(last);
    }
    if (chain.handled_by != kNoSpan) text += "; " + Name(chain.handled_by) + " went on";
    return text + ".";
  }

  // What reached the top first; each sentence once, however often a call was tried again.
  void RootCauses() {
    std::vector<std::string> said;
    for (const bool handled : {false, true}) {
      for (const ErrorChain& chain : out_.error_chains) {
        if (said.size() == kOfAKind) return;
        if ((chain.handled_by != kNoSpan) != handled) continue;
        std::string text = RootCauseText(chain);
        if (std::find(said.begin(), said.end(), text) != said.end()) continue;
        said.push_back(text);
        Say("root_cause", handled ? InsightSeverity::kWarning : InsightSeverity::kCritical, chain.root_cause,
            out_.spans[chain.root_cause].duration_ns, std::move(text));
      }
    }
  }

  void Repeated() {
    std::vector<std::uint32_t> said;
    for (const RepeatedCalls& each : out_.repeated_calls) {
      const std::uint32_t operation = tree_.operation[each.first];
      if (std::find(said.begin(), said.end(), operation) != said.end()) continue;
      said.push_back(operation);
      Say("repeated_calls", InsightSeverity::kWarning, each.first, each.wall_ns,
          Short(each.operation) + " was called " + Count(each.count, "time") + Where("under", each.parent, trace_) +
              (each.parallel ? ", partly side by side: " : ", one after another: ") + Ns(each.total_ns) + " in all, " +
              Ns(each.wall_ns) + " of the parent's time.");
      if (said.size() == kOfAKind) return;
    }
  }

  void Sequential() {
    for (std::size_t i = 0; i < std::min(out_.sequential.size(), kOfAKind); ++i) {
      const SequentialCalls& each = out_.sequential[i];
      if (each.saving_ns <= out_.root_duration_ns / kWorthPart) return;
      std::string names;
      for (std::size_t k = 0; k < each.spans.size(); ++k)
        names += (k == 0 ? "" : k + 1 == each.spans.size() ? " and " : ", ") + Name(each.spans[k]);
      Say("sequential_calls", InsightSeverity::kInfo, each.spans.front(), each.saving_ns,
          names + " ran one after another under " + Name(each.parent) + ", " + Ns(each.total_ns) +
              " in all: side by side they could save " + Ns(each.saving_ns) + ".");
    }
  }

  void Retries() {
    for (std::size_t i = 0; i < std::min(out_.retries.size(), kOfAKind); ++i) {
      const Retry& each = out_.retries[i];
      Say("retries", InsightSeverity::kWarning, each.attempts.front(), each.cost_ns,
          Name(each.attempts.front()) + " was tried " + Count(each.attempts.size(), "time") + " after " +
              ErrorText(ErrorOf(each.attempts.front())) + ": " + Ns(each.cost_ns) + " before the last attempt, which " +
              (each.recovered ? "succeeded." : "failed too."));
    }
  }

  void Nesting() {
    if (out_.depth <= options_.depth_warning) return;
    const Recursion recursion = FindRecursion(tree_, out_);
    std::string text =
        "Deep call stack: " + std::to_string(out_.depth) + " levels (over " +
        std::to_string(out_.depth > options_.depth_critical ? options_.depth_critical : options_.depth_warning) + ")";
    if (recursion.operation != kNoSpan) {
      text += "; " + Name(recursion.operation) + " is on " + std::to_string(recursion.times) + " of them";
    }
    Say("deep_nesting", out_.depth > options_.depth_critical ? InsightSeverity::kCritical : InsightSeverity::kWarning,
        recursion.deepest, 0, text + ".");
  }

  void MemoryGrowth() {
    if (!out_.memory || out_.memory->efficiency == MemoryEfficiency::kGood) return;
    const bool poor = out_.memory->efficiency == MemoryEfficiency::kPoor;
    Say("memory_growth", poor ? InsightSeverity::kCritical : InsightSeverity::kWarning, out_.memory->grower, 0,
        "Memory efficiency is " + std::string(poor ? "poor" : "concerning") + ": the process grew by " +
            Bytes(*out_.memory->delta_bytes) + " while " + Name(out_.memory->grower) + " ran.");
  }

  void Gaps() {
    if (out_.idle_ns > out_.root_duration_ns / kNotablePart) {
      Say("idle", InsightSeverity::kInfo, kNoSpan, out_.idle_ns,
          "For " + Ns(out_.idle_ns) + " of " + Ns(out_.root_duration_ns) + " no span of this trace ran.");
    }
    if (out_.root == kNoSpan) return;
    std::int64_t last = tree_.end[out_.root];
    for (std::uint32_t i = 0; i < tree_.top; ++i) {
      if (!out_.spans[i].skewed) last = std::max(last, tree_.end[i]);  // what a foreign clock says is no work
    }
    const std::int64_t late_ns = last - tree_.end[out_.root];
    if (late_ns > out_.root_duration_ns / kNotablePart) {
      Say("async_work", InsightSeverity::kInfo, out_.root, late_ns,
          "Work went on for " + Ns(late_ns) + " after " + Name(out_.root) + " had ended.");
    }
  }

  void Skew() {
    std::uint32_t count = 0, worst = kNoSpan;
    std::int64_t most = 0;
    bool foreign = false;
    for (std::uint32_t i = 0; i < tree_.top; ++i) {
      if (!out_.spans[i].skewed) continue;
      ++count;
      const std::uint32_t up = tree_.parent[i];
      foreign = foreign || OtherHost(trace_.spans[i], trace_.spans[up]);
      const std::int64_t by = std::max(tree_.start[up] - tree_.start[i], tree_.end[i] - tree_.end[up]);
      if (by <= most) continue;
      most = by;
      worst = i;
    }
    if (count == 0) return;
    Say("clock_skew", InsightSeverity::kInfo, worst, 0,
        Count(count, "span") + (count == 1 ? " does" : " do") + " not lie within the parent, by up to " + Ns(most) +
            " (" + Name(worst) + "): " +
            (foreign ? "clocks differ, times between hosts are uncertain."
                     : "one process set these times itself, or its clock was set meanwhile."));
  }

  void Incomplete() {
    std::uint64_t lost = 0;
    bool died = false;
    for (const TraceLoss& loss : trace_.losses) {
      lost += std::min<std::uint64_t>(loss.spans, UINT32_MAX);
      died = died || (loss.spans == 0 && !trace_.missing.empty());
    }
    std::string text;
    const auto add = [&](std::uint64_t count, std::string_view noun, std::string_view rest) {
      if (count > 0) text += (text.empty() ? "" : ", ") + Count(count, noun) + std::string(rest);
    };
    add(lost, "span", " lost by its processes meanwhile");
    add(trace_.missing.size(), "parent", " not here");
    add(trace_.summary.truncated, "span", " over the limits of a trace");
    if (died) text += ", a process died meanwhile";
    if (text.empty()) return;
    Say("incomplete", lost > 0 || died ? InsightSeverity::kWarning : InsightSeverity::kInfo, kNoSpan, 0,
        "This trace is not whole (" + text + "): figures may be too low.");
  }

  void Turn() {
    if (!out_.llm) return;
    const LlmAnalysis& llm = *out_.llm;
    const auto part = [&](TurnClass which) { return llm.class_ns[static_cast<std::size_t>(which)]; };
    if (part(TurnClass::kGenerating) > 0) {
      std::string tokens = "; " + Count(llm.total.calls, "model call");
      if (llm.total.input_tokens) tokens += ", " + std::to_string(*llm.total.input_tokens) + " tokens in";
      if (llm.total.output_tokens) tokens += ", " + std::to_string(*llm.total.output_tokens) + " tokens out";
      if (llm.total.cost) {
        const char* const begin = llm.total.unpriced_calls > 0 ? ", at least " : ", ";
        tokens += begin + FormatValue(*llm.total.cost, Unit::kDollars);
      }
      Say("llm_turn", InsightSeverity::kInfo, kNoSpan, part(TurnClass::kGenerating),
          "Of " + Ns(out_.root_duration_ns) + ", generating took " +
              Share(part(TurnClass::kGenerating), out_.root_duration_ns) + ", tools " +
              Share(part(TurnClass::kTools), out_.root_duration_ns) + ", queueing " +
              Share(part(TurnClass::kQueueing), out_.root_duration_ns) + ", sending " +
              Share(part(TurnClass::kSending), out_.root_duration_ns) + tokens + ".");
    }
    if (llm.time_to_first_token_ns.value_or(0) > options_.slow_warning_ns) {
      Say("first_token", InsightSeverity::kInfo, llm.first_token_span, *llm.time_to_first_token_ns,
          "The first token came " + Ns(*llm.time_to_first_token_ns) + " after " + Name(llm.first_token_span) +
              " began.");
    }
  }

  const TraceCopy& trace_;
  const Tree& tree_;
  const AnalysisOptions& options_;
  TraceAnalysis& out_;
};

}  // namespace

Recursion FindRecursion(const Tree& tree, const TraceAnalysis& analysis) {
  Recursion found;
  for (std::uint32_t i = 0; i < tree.top && found.deepest == kNoSpan; ++i) {
    if (analysis.spans[i].depth == analysis.depth) found.deepest = i;
  }
  if (found.deepest == kNoSpan) return found;
  std::vector<std::uint32_t> times(tree.operation_example.size(), 0);
  for (std::uint32_t i = found.deepest;; i = tree.parent[i]) {
    const std::uint32_t now = ++times[tree.operation[i]];
    if (now >= kRecursionTimes && now > found.times) {
      found.times = now;
      found.operation = i;
    }
    if (analysis.spans[i].depth == 1) return found;
  }
}

void Insights(const Tree& tree, const AnalysisOptions& options, TraceAnalysis* out) {
  Writer(tree, options, out).Write();
}

}  // namespace spanwatch::core::analysis
