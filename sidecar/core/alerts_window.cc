// Rules over windows, timers, and the change of the rule set.
#include <algorithm>
#include <map>

#include "sidecar/core/alerts.h"
#include "sidecar/core/health.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxGroups = 2000;             // of window rules, all together
constexpr std::int64_t kStaleNs = 300'000'000'000;   // spans that ended longer ago do not count in windows
constexpr std::int64_t kEvaluationsPerWindow = 300;  // 5 min: each second

std::int64_t EvaluationInterval(const Rule& rule) {
  return std::max<std::int64_t>(1, rule.window_ns / kEvaluationsPerWindow / kTickNs) * kTickNs;
}

}  // namespace

std::uint32_t Alerts::GroupOf(std::uint32_t index, const Subject& subject) {
  const std::uint64_t key = KeyOf(index, subject);
  if (const auto it = group_index_.find(key); it != group_index_.end()) return it->second;
  if (groups_.size() >= kMaxGroups) {
    ++dropped_;
    return kNone;
  }
  const auto group = static_cast<std::uint32_t>(groups_.size());
  groups_.emplace_back();
  groups_.back().rule = index;
  groups_.back().slot_ns = SlotNs(rule(index));
  groups_.back().subject = subject;
  groups_.back().lost_before = total_lost_;
  return group_index_[key] = group;
}

void Alerts::OnWindows(std::int64_t now_ns, const Binding& binding, const SpanView& span) {
  if (span.end_ns + kStaleNs < now_ns) return;
  const bool failed = span.status == StatusCode::kError;
  for (const std::uint32_t index : binding.windows) {
    Group& group = groups_[index];
    const std::int64_t number = now_ns / group.slot_ns;
    Slot& slot = group.slots[static_cast<std::size_t>(number % std::int64_t{kSlots})];
    if (slot.number != number) slot = Slot{number, 0, 0, 0, 0};
    group.newest = number;
    std::int64_t& due = next_evaluation_[group.rule];
    if (due == INT64_MAX) due = (now_ns / kTickNs + 1) * kTickNs;  // slept
    slot.total += span.weight;
    slot.duration_ns += span.weight * static_cast<double>(std::max<std::int64_t>(0, span.end_ns - span.start_ns));
    ++slot.raw;
    if (failed) {
      slot.errors += span.weight;
      group.last_error.assign(span.error_type.substr(0, 100));
      if (!span.error_type.empty() && !span.error_message.empty()) group.last_error += ": ";
      group.last_error += span.error_message.substr(0, 200);
    }
    if (failed || !group.trace.IsValid()) {
      group.trace = span.trace_id;
      group.span = span.span_id;
    }
  }
}

// The measure over the last 60 slots; *raw is how many spans they hold.
double Alerts::WindowValue(std::int64_t now_ns, const Group& group, std::uint64_t* raw) const {
  const std::int64_t current = now_ns / group.slot_ns;
  Slot sum{0, 0, 0, 0, 0};
  std::uint64_t spans = 0;
  for (const Slot& slot : group.slots) {
    if (slot.number <= current - std::int64_t{kSlots} || slot.number > current) continue;
    sum.total += slot.total;
    sum.errors += slot.errors;
    sum.duration_ns += slot.duration_ns;
    spans += slot.raw;
  }
  *raw = spans;
  switch (rule(group.rule).measure) {
    case Measure::kErrorRate:
      return sum.total > 0 ? sum.errors / sum.total : 0;
    case Measure::kErrorCount:
      return sum.errors;
    case Measure::kRate:
      return sum.total * 1e9 / static_cast<double>(rule(group.rule).window_ns);
    case Measure::kDurationAvg:
      return sum.total > 0 ? sum.duration_ns / sum.total : 0;
    default:
      return sum.total;
  }
}

// Prometheus' life of an alert: pending for `for`, firing, kept firing for `keep_firing_for` after the condition ended.
void Alerts::StepLevel(std::int64_t now_ns, const Rule& rule, bool holds, Level* level) {
  if (holds) {
    if (!level->active) *level = Level{true, false, now_ns, 0, false};
    level->kept = false;
    if (now_ns - level->since_ns >= rule.for_ns) level->firing = true;
    return;
  }
  if (!level->firing) {
    *level = Level();
    return;
  }
  if (!level->kept) {
    level->kept = true;
    level->last_ns = now_ns;
  }
  if (now_ns - level->last_ns >= rule.keep_firing_for_ns) *level = Level();
}

void Alerts::EvaluateReading(std::int64_t now_ns, std::uint32_t index, const Subject& subject, const Reading& reading) {
  const Rule& source = rule(index);
  const double value = reading.value;
  const bool enough =
      source.measure == Measure::kServiceHealth || reading.spans >= std::max<std::uint64_t>(1, source.min_count);
  const Severity severity = enough ? source.Judge(value) : Severity::kNone;
  const std::uint64_t key = KeyOf(index, subject);
  Active* active = Find(key);
  if (active == nullptr && severity != Severity::kNone) active = Create(now_ns, key, index, subject);
  if (active == nullptr) return;
  Incident& incident = active->incident;
  if (severity != Severity::kNone) {
    const bool worse =
        source.direction == Direction::kAbove ? value > incident.worst_value : value < incident.worst_value;
    if (incident.count == 0 || worse) incident.worst_value = value;
    active->dirty =
        active->dirty || value != incident.value || reading.spans != incident.count || reading.issues != active->issues;
    incident.value = value;
    incident.count = reading.spans;
    incident.last_match_ns = now_ns;
    incident.worst_trace = reading.trace;
    incident.worst_span = reading.span;
    incident.last_error = reading.last_error;
    active->issues = reading.issues;
  }
  StepLevel(now_ns, source, source.warning && severity >= Severity::kWarning, &active->levels[0]);
  StepLevel(now_ns, source, severity == Severity::kCritical, &active->levels[1]);
  Settle(now_ns, active);
  timers_due_ = std::min(timers_due_, DueOf(*active));
}

// The lowest number of an operation of the service; kNone: it has none.
std::uint32_t Alerts::OperationOf(std::uint32_t service) const {
  for (std::uint32_t i = 0; i < catalog_->operation_count(); ++i) {
    if (catalog_->operation(i).live && catalog_->operation(i).service == service) return i;
  }
  return kNone;
}

// Services that are not well or have an incident, in order of their numbers. False: there are none.
bool Alerts::EvaluateHealth(std::int64_t now_ns, std::uint32_t index, const Health& health) {
  std::map<std::uint32_t, Subject> services;
  for (const auto& active : active_) {
    if (active->rule == index && active->subject.operation != kNone)
      services[catalog_->operation(active->subject.operation).service] = active->subject;
  }
  for (std::uint32_t i = 0; health.unhealthy() > 0 && i < health.size(); ++i) {
    if (health.VerdictOf(i).status == HealthStatus::kHealthy || services.contains(i)) continue;
    const Subject subject{OperationOf(i), SpanKind::kUnspecified, StatusCode::kUnset};
    if (subject.operation != kNone) services[i] = subject;
  }
  for (const auto& [number, subject] : services) {
    if (!Applies(rule(index), subject)) continue;
    const Health::Verdict verdict = health.VerdictOf(number);
    const std::string issues = health.Issues(number);
    EvaluateReading(now_ns, index, subject,
                    {static_cast<double>(verdict.status), verdict.spans, verdict.trace, verdict.span, {}, issues});
  }
  return !services.empty();
}

// False: all groups are idle; nothing will change before the next span.
bool Alerts::EvaluateRule(std::int64_t now_ns, std::uint32_t index, const TraceStore::Counts& store) {
  const Rule& source = rule(index);
  bool awake = false;
  for (Group& group : groups_) {
    if (group.rule != index) continue;
    std::uint64_t raw = 1;
    double value;
    if (source.measure == Measure::kStoreFill) {
      value = static_cast<double>(store.bytes) /
              static_cast<double>(std::max<std::uint64_t>(1, limits_.memory_limit_bytes));
    } else if (source.measure == Measure::kSpansLost) {
      const std::int64_t number = now_ns / group.slot_ns;
      Slot& slot = group.slots[static_cast<std::size_t>(number % std::int64_t{kSlots})];
      if (slot.number != number) slot = Slot{number, 0, 0, 0, 0};
      slot.total += static_cast<double>(total_lost_ - group.lost_before);
      group.lost_before = total_lost_;
      value = WindowValue(now_ns, group, &raw);
      raw = static_cast<std::uint64_t>(value) + 1;
    } else {
      const bool idle = group.newest <= now_ns / group.slot_ns - std::int64_t{kSlots};
      if (idle && !group.watched) continue;
      value = WindowValue(now_ns, group, &raw);
    }
    EvaluateReading(now_ns, index, group.subject, {value, raw, group.trace, group.span, group.last_error, {}});
    group.watched = Find(KeyOf(index, group.subject)) != nullptr;
    awake = true;
  }
  return awake;
}

void Alerts::Advance(std::int64_t now_ns, const TraceStore::Counts& store, std::uint64_t total_lost,
                     const Health& health) {
  total_lost_ = total_lost;
  for (const std::uint16_t index : health_rules_) {  // they sleep while all is well
    if (next_evaluation_[index] == INT64_MAX && health.unhealthy() > 0) next_evaluation_[index] = now_ns;
  }
  if (groups_.empty() && health_rules_.empty() && now_ns < timers_due_) return;
  for (std::uint32_t i = 0; i < next_evaluation_.size(); ++i) {
    if (next_evaluation_[i] > now_ns) continue;
    // A rule without anything to look at sleeps: hours in which nothing came cost nothing, live and at a restart.
    const bool awake =
        rule(i).measure == Measure::kServiceHealth ? EvaluateHealth(now_ns, i, health) : EvaluateRule(now_ns, i, store);
    next_evaluation_[i] = awake ? now_ns + EvaluationInterval(rule(i)) : INT64_MAX;
  }
  if (now_ns >= timers_due_) {
    timers_due_ = INT64_MAX;
    for (const auto& active : active_) {
      if (!IsWindow(rule(active->rule).measure)) ExpireEvents(now_ns, active.get());
      const bool firing = active->incident.state == AlertState::kFiring;
      if (firing && active->dirty && active->emitted_ns + limits_.update_interval_ns <= now_ns) {
        Emit(now_ns, TransitionKind::kUpdated, active.get());
      }
      if (firing) timers_due_ = std::min(timers_due_, DueOf(*active));
    }
  }
  Sweep();
}

std::int64_t Alerts::NextDue() const {
  std::int64_t due = timers_due_;
  if (groups_.empty() && health_rules_.empty()) return due;
  for (const std::int64_t at : next_evaluation_) due = std::min(due, at);
  return due;
}

// What the hot path needs to know of the rules.
void Alerts::Summarise() {
  min_depth_ = UINT32_MAX;
  min_span_count_ = UINT64_MAX;
  trace_rules_.clear();
  open_rules_.clear();
  health_rules_.clear();
  for (std::uint32_t i = 0; i < rules_->rules.size(); ++i) {
    const Rule& each = rule(i);
    const double lowest = std::clamp(std::min(each.warning.value_or(1e9), each.critical.value_or(1e9)), 0.0, 1e9);
    if (IsTrace(each.measure)) trace_rules_.push_back(static_cast<std::uint16_t>(i));
    if (each.measure == Measure::kSpanOpenFor) open_rules_.push_back(static_cast<std::uint16_t>(i));
    if (each.measure == Measure::kServiceHealth) health_rules_.push_back(static_cast<std::uint16_t>(i));
    if (each.direction == Direction::kBelow) continue;
    if (each.measure == Measure::kTraceDepth) min_depth_ = std::min(min_depth_, static_cast<std::uint32_t>(lowest));
    if (each.measure == Measure::kTraceSpanCount)
      min_span_count_ = std::min(min_span_count_, static_cast<std::uint64_t>(lowest));
  }
}

// Moves groups and incidents to the new numbers of their rules; what has no rule any more is over.
void Alerts::Carry(std::int64_t now_ns, const RuleSet& old) {
  std::vector<std::uint32_t> renamed(old.rules.size(), kNone);
  for (std::uint32_t i = 0; i < old.rules.size(); ++i) {
    for (std::uint32_t j = 0; j < rules_->rules.size(); ++j) {
      const Rule& a = old.rules[i];
      const Rule& b = rule(j);
      if (a.group == b.group && a.alert == b.alert && a.text == b.text) renamed[i] = j;
    }
  }
  std::vector<Group> groups = std::move(groups_);
  groups_.clear();
  group_index_.clear();
  for (Group& group : groups) {
    if (renamed[group.rule] == kNone) continue;
    group.rule = renamed[group.rule];
    group_index_[KeyOf(group.rule, group.subject)] = static_cast<std::uint32_t>(groups_.size());
    groups_.push_back(std::move(group));
  }
  active_index_.clear();
  for (const auto& active : active_) {
    if (renamed[active->rule] == kNone) {
      if (active->incident.state == AlertState::kFiring) ResolveOrphan(now_ns, active.get());
      active->incident.state = AlertState::kResolved;
    } else {
      active->rule = renamed[active->rule];
      active->key = KeyOf(active->rule, active->subject);
      active_index_[active->key] = active.get();
    }
  }
  std::erase_if(active_, [](const auto& active) { return active->incident.state == AlertState::kResolved; });
}

void Alerts::ForgetIdle(std::int64_t now_ns) {
  const auto idle = [&](const Group& group) {
    const Measure measure = rule(group.rule).measure;
    return measure != Measure::kStoreFill && measure != Measure::kSpansLost && !group.watched &&
           group.newest < now_ns / group.slot_ns - 2 * std::int64_t{kSlots};
  };
  if (std::erase_if(groups_, idle) == 0) return;
  group_index_.clear();
  for (std::uint32_t i = 0; i < groups_.size(); ++i) group_index_[KeyOf(groups_[i].rule, groups_[i].subject)] = i;
  ++generation_;
}

void Alerts::MarkOperations(std::vector<bool>* marks) const {
  const auto mark = [&](const Subject& subject) {
    if (subject.operation < marks->size()) (*marks)[subject.operation] = true;
  };
  for (const Group& group : groups_) mark(group.subject);
  for (const auto& active : active_) mark(active->subject);
}

void Alerts::Configure(std::int64_t now_ns, const Limits& limits, std::shared_ptr<const RuleSet> rules) {
  limits_ = limits;
  const std::shared_ptr<const RuleSet> old = std::exchange(rules_, std::move(rules));
  Carry(now_ns, *old);
  Summarise();
  next_evaluation_.assign(rules_->rules.size(), INT64_MAX);
  for (std::uint32_t i = 0; i < rules_->rules.size(); ++i) {
    const Measure measure = rule(i).measure;
    if (!IsWindow(measure)) continue;
    next_evaluation_[i] = (now_ns / kTickNs + 1) * kTickNs;
    if (measure == Measure::kStoreFill || measure == Measure::kSpansLost) GroupOf(i, Subject{});
  }
  timers_due_ = now_ns;
  ++generation_;
}

}  // namespace spanwatch::core
