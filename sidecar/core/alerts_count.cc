// Spans, counted in the groups of window rules.
#include <algorithm>

#include "sidecar/core/alerts.h"
#include "sidecar/core/error_text.h"
#include "sidecar/core/model_call.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kStaleNs = 300'000'000'000;  // spans that ended longer ago do not count in windows

std::int64_t DurationOf(const SpanView& span) { return std::max<std::int64_t>(0, span.end_ns - span.start_ns); }

}  // namespace

void Alerts::OnWindows(std::int64_t now_ns, const Subject& subject, const SpanBatch& batch, const SpanView& span,
                       Binding* binding) {
  if (span.end_ns + kStaleNs < now_ns) return;
  for (std::uint32_t& bound : binding->windows) {
    if (bound < kPerSpan) {
      CountIn(now_ns, span, span.weight, &groups_[bound]);
    } else {
      CountPerSpan(now_ns, subject, TagSource(batch, span), span, &bound);
    }
  }
}

// The group's number replaces the rule's in the binding if all spans of the binding go there.
void Alerts::CountPerSpan(std::int64_t now_ns, const Subject& subject, const TagSource& tags, const SpanView& span,
                          std::uint32_t* bound) {
  const std::uint32_t index = *bound - kPerSpan;
  const Rule& source = rule(index);
  const RuleInfo& info = infos_[index];
  double amount = span.weight;
  if (info.counting == Counting::kAmount) {
    const TokenUse use = UseOf(tags);
    std::optional<double> told;
    if (source.measure == Measure::kCost) {
      told = CostOf(tags, use, limits_.prices.get(), span.end_ns);
    } else if (use.Any()) {
      told = use.Sum();
    }
    if ((!told && !use.Any()) || IsWrapper(tags)) return;
    if (!told && (!info.matches_tags || TagsApply(source, tags))) FailUnpriced(now_ns, index, ModelOf(tags));
    if (!told) return;
    amount *= *told;
  }
  if (info.matches_tags && !TagsApply(source, tags)) return;
  const std::uint32_t number = GroupOf(index, subject, TextsOf(index, subject, tags));
  if (number == kNone) return Fail(now_ns, index, RuleFailure::kGroups);
  if (!info.per_span) *bound = number;
  CountIn(now_ns, span, amount, &groups_[number]);
}

void Alerts::Turn(std::int64_t now_ns, Group* group) {
  const std::uint64_t room = group_bytes_ < group_room_ ? group_room_ - group_bytes_ : 0;
  if (!group->slots.Turn(now_ns, room)) Fail(now_ns, group->rule, RuleFailure::kSketch);
  Weigh(group);
}

void Alerts::CountIn(std::int64_t now_ns, const SpanView& span, double amount, Group* group) {
  std::int64_t& due = next_evaluation_[group->rule];
  if (due == INT64_MAX) due = (now_ns / kTickNs + 1) * kTickNs;  // slept
  const bool failed = span.status == StatusCode::kError;
  const Counting counting = group->counting;
  if (counting == Counting::kPresence) {
    group->seen_ns = now_ns;
    group->over = false;
    NoteTrace(span, 0, group);
    return;
  }
  if (!group->slots.IsCurrent(now_ns)) Turn(now_ns, group);
  WindowSlots::Counts& slot = group->slots.current();
  slot.total += amount;
  ++slot.raw;
  if (counting <= Counting::kFailed && !failed) {
    if (!group->trace.IsValid()) NoteTrace(span, 0, group);
    return;
  }
  switch (counting) {
    case Counting::kDurations:
      slot.part += amount * static_cast<double>(DurationOf(span));
      NoteTrace(span, static_cast<double>(DurationOf(span)), group);
      break;
    case Counting::kSketch:
      group->slots.AddDuration(DurationOf(span), amount);
      NoteTrace(span, static_cast<double>(DurationOf(span)), group);
      break;
    case Counting::kAmount:
      NoteTrace(span, amount, group);
      break;
    case Counting::kBad: {
      const std::int64_t limit = rule(group->rule).slower_than_ns;
      const bool bad = failed || (limit > 0 && DurationOf(span) > limit);
      if (bad) slot.part += amount;
      if (bad) NoteTrace(span, 0, group);
      break;
    }
    default:
      slot.part += amount;
  }
  if (failed) {
    DescribeError(span.error_type, span.error_message, &group->last_error);
    Weigh(group);
  }
  if (counting <= Counting::kFailed) NoteTrace(span, 0, group);
}

// The largest of the window; of equal ones the latest.
void Alerts::NoteTrace(const SpanView& span, double value, Group* group) {
  const bool old = group->trace_slot <= group->slots.newest() - group->slots.slots();
  if (group->trace.IsValid() && value < group->trace_value && !old) return;
  group->trace = span.trace_id;
  group->span = span.span_id;
  group->trace_value = value;
  group->trace_slot = group->slots.newest();
}

}  // namespace spanwatch::core
