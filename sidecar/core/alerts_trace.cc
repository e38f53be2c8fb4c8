// Rules on whole traces.
#include <algorithm>

#include "sidecar/core/alerts.h"

namespace spanwatch::core {
namespace {

// Spans of a trace in which repeated calls are looked for: half a millisecond.
constexpr std::size_t kMaxLookedAt = 10'000;
constexpr std::uint32_t kRepeatedCalls = 5;  // fewer are not repeated, as the analysis has it

}  // namespace

std::uint32_t Alerts::TopOf(const Trace& trace) {
  std::uint32_t chosen = 0;
  for (std::uint32_t i = 1; i < trace.spans.size(); ++i) {
    const StoredSpan& span = trace.spans[i];
    if (span.parent == kNone && span.levels_below > trace.spans[chosen].levels_below) chosen = i;
  }
  return chosen;
}

Alerts::Named Alerts::NameOf(const Trace& trace, const OpenSpan* root) {
  if (trace.root == kNone && root != nullptr) return {{root->operation, root->kind, StatusCode::kUnset}, root->span_id};
  const std::uint32_t index = trace.root != kNone ? trace.root : TopOf(trace);
  const StoredSpan& span = trace.spans[index];
  return {{span.operation, span.kind, span.status}, span.span_id, index};
}

// Calls of one operation that name the same parent, be it here or not. Names that statistics folded into "(other)" are
// not known to be one.
Alerts::Calls Alerts::RepeatedCalls(const Trace& trace) {
  Calls calls;
  calls_.clear();
  for (std::size_t i = 0; i < std::min(trace.spans.size(), kMaxLookedAt); ++i) {
    const StoredSpan& span = trace.spans[i];
    if (!span.parent_id.IsValid() || span.parent_id == span.span_id) continue;
    if (catalog_->operation(span.operation).other) continue;
    const std::uint64_t names[] = {span.parent_id.value, span.operation};
    const std::uint32_t count = ++calls_[XXH3_64bits_withSeed(names, sizeof names, TableSeed())];
    if (count < kRepeatedCalls || static_cast<double>(count) <= calls.most) continue;
    calls.most = count;
    calls.parent = span.parent_id;
  }
  return calls;
}

// False: the trace has no such value. *where: the span to look at, if there is one to name.
bool Alerts::TraceValue(std::uint32_t index, const Trace& trace, double* value, SpanId* where) {
  switch (rule(index).measure) {
    case Measure::kTraceDepth:
      *value = trace.depth;
      return true;
    case Measure::kTraceSpanCount:
      *value = static_cast<double>(trace.spans.size() + trace.truncated);
      return true;
    case Measure::kTraceDuration:
      *value = static_cast<double>(trace.DurationNs());
      return true;
    case Measure::kTraceErrorCount:
      *value = trace.errors;
      return true;
    case Measure::kTraceRepeatedCalls: {
      // A trace has no more calls than spans: most are too short for the rule, and counting in
      // all of them took 9 % of the sidecar (perf, bench ingest).
      const Rule& rule = this->rule(index);
      const auto spans = static_cast<double>(trace.spans.size());
      if (rule.direction == Direction::kAbove && rule.Judge(spans) == Severity::kNone) return false;
      const Calls calls = RepeatedCalls(trace);
      *value = calls.most;
      if (TraceStore::FindSpan(trace, calls.parent) != kNone) *where = calls.parent;
      return calls.most > 0;
    }
    default:
      break;
  }
  if (trace.memory_delta == kNoMemory) return false;
  *value = static_cast<double>(trace.memory_delta);
  if (trace.memory_span != kNone) *where = trace.spans[trace.memory_span].span_id;
  return true;
}

bool Alerts::OnTrace(std::int64_t now_ns, bool complete, const OpenSpan* root, Trace* trace) {
  if (trace->spans.empty() || trace_rules_.empty()) return false;
  bool matched = false;
  for (const std::uint16_t index : trace_rules_) {
    const Measure measure = rule(index).measure;
    const bool crossing = measure == Measure::kTraceDepth || measure == Measure::kTraceSpanCount;
    if (!complete && !(crossing && rule(index).direction == Direction::kAbove)) continue;
    double value = 0;
    SpanId where;
    if (!TraceValue(index, *trace, &value, &where)) continue;
    matched = JudgeTrace(now_ns, index, value, where, root, trace) || matched;
  }
  return matched;
}

bool Alerts::JudgeTrace(std::int64_t now_ns, std::uint32_t index, double value, SpanId where, const OpenSpan* root,
                        Trace* trace) {
  const Severity severity = rule(index).Judge(value);
  if (severity == Severity::kNone) return false;
  const std::uint32_t uid = states_[index].uid;
  auto it = std::find_if(trace->verdicts.begin(), trace->verdicts.end(),
                         [&](const TraceVerdict& v) { return v.rule == uid; });
  const bool repeat = it != trace->verdicts.end();
  if (repeat && severity <= it->severity && value == it->value) return true;
  if (!repeat) {
    const Named named = NameOf(*trace, root);
    TagSource tags;
    if (named.index != kNone) {
      const StoredSpan& span = trace->spans[named.index];
      tags = TagSource(trace->detail(span), catalog_->resource(span.resource));
    }
    if (!Applies(rule(index), named.subject) || !TagsApply(rule(index), tags)) return false;
    it = trace->verdicts.insert(trace->verdicts.end(),
                                {uid, severity, named.subject.operation, named.subject.kind, named.subject.status,
                                 named.span, value, TextsOf(index, named.subject, tags)});
  }
  it->severity = severity;
  it->value = value;
  const Subject subject{it->operation, it->kind, it->status};
  Judge(now_ns, index,
        {subject,
         value,
         trace->id,
         where.IsValid() ? where : it->span,
         static_cast<double>(trace->DurationNs()),
         {},
         {},
         repeat,
         it->texts});
  return true;
}

}  // namespace spanwatch::core
