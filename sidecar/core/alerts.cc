#include "sidecar/core/alerts.h"

#include <algorithm>

#include "sidecar/core/template.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kShowResolvedNs = 900'000'000'000;  // as Prometheus keeps them: 15 minutes
constexpr std::size_t kMaxErrorBytes = 300;

std::string ErrorText(std::string_view type, std::string_view message) {
  std::string text(type);
  if (!type.empty() && !message.empty()) text += ": ";
  text += message;
  if (text.size() > kMaxErrorBytes) {
    std::size_t end = kMaxErrorBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text.resize(end);
    text += "…";
  }
  return text;
}

std::string_view LabelText(const Catalog& catalog, const RuleLabel& label, const Subject& subject) {
  if (subject.operation == kNone) return "";
  const Operation& operation = catalog.operation(subject.operation);
  switch (label.source) {
    case LabelSource::kService:
      return catalog.service_name(operation.service);
    case LabelSource::kOperation:
      return operation.name;
    case LabelSource::kKind:
      return ToString(subject.kind);
    case LabelSource::kTag:
      return "";
    case LabelSource::kStatus:
      break;
  }
  return ToString(subject.status);
}

}  // namespace

bool Alerts::Applies(const Rule& rule, const Subject& subject) const {
  return std::all_of(rule.match.begin(), rule.match.end(), [&](const LabelMatcher& matcher) {
    return matcher.pattern->Matches(LabelText(*catalog_, matcher.label, subject));
  });
}

std::uint64_t Alerts::KeyOf(std::uint32_t index, const Subject& subject) const {
  std::uint64_t key = TableSeed() + index;
  for (const RuleLabel& label : rule(index).by) {
    const std::string_view text = LabelText(*catalog_, label, subject);
    key = XXH3_64bits_withSeed(text.data(), text.size(), key);
  }
  return XXH3_64bits_withSeed(&key, sizeof key, index);
}

Alerts::Binding Alerts::Bind(const Subject& subject) {
  Binding binding;
  for (std::uint32_t i = 0; i < rules_->rules.size(); ++i) {
    const Rule& each = rule(i);
    const bool no_spans = each.measure == Measure::kStoreFill || each.measure == Measure::kSpansLost ||
                          each.measure == Measure::kServiceHealth;
    if (IsTrace(each.measure) || no_spans || each.measure == Measure::kSpanOpenFor || !Applies(each, subject)) continue;
    if (IsWindow(each.measure)) {
      if (const std::uint32_t group = GroupOf(i, subject); group != kNone) binding.windows.push_back(group);
      continue;
    }
    binding.events.push_back(static_cast<std::uint16_t>(i));
    const double lowest = each.direction == Direction::kBelow
                              ? -1
                              : std::min(each.warning.value_or(1e300), each.critical.value_or(1e300));
    const std::int64_t border =
        each.measure == Measure::kSpanDuration ? static_cast<std::int64_t>(std::clamp(lowest, -1.0, 9e18)) : -1;
    binding.min_duration_ns = std::min(binding.min_duration_ns, border);
  }
  return binding;
}

Alerts::Active* Alerts::Find(std::uint64_t key) {
  const auto it = active_index_.find(key);
  return it == active_index_.end() ? nullptr : it->second;
}

Alerts::Active* Alerts::Create(std::int64_t now_ns, std::uint64_t key, std::uint32_t index, const Subject& subject) {
  if (active_.size() >= limits_.max_incidents) {
    ++dropped_;
    return nullptr;
  }
  auto active = std::make_unique<Active>();
  active->key = key;
  active->rule = index;
  active->subject = subject;
  active->lost_before = total_lost_;
  const Rule& source = rule(index);
  Incident& incident = active->incident;
  incident.alertname = source.alert;
  incident.rule_group = source.group;
  for (const RuleLabel& label : source.by)
    incident.labels.push_back({label.Name(), std::string(LabelText(*catalog_, label, subject))});
  incident.labels.insert(incident.labels.end(), source.labels.begin(), source.labels.end());
  incident.measure = ToString(source.measure);
  incident.unit = UnitOf(source.measure);
  incident.direction = source.direction;
  incident.window_ns = source.window_ns;
  incident.active_at_ns = now_ns;
  incident.state = AlertState::kPending;
  Hasher name;
  name.Add(std::string_view(source.alert)).Add(std::string_view(source.group));
  for (const NameValue& label : incident.labels)
    name.Add(std::string_view(label.name)).Add(std::string_view(label.value));
  incident.fingerprint = SpanId{name.Digest64()}.ToHex();
  incident.id = name.Add(now_ns).Digest128().ToHex();
  active_.push_back(std::move(active));
  return active_index_[key] = active_.back().get();
}

bool Alerts::OnSpan(std::int64_t now_ns, const Binding& binding, const Subject& subject, const SpanView& span) {
  const std::int64_t duration = std::max<std::int64_t>(0, span.end_ns - span.start_ns);
  bool matched = false;
  for (const std::uint16_t index : binding.events) {
    const Measure measure = rule(index).measure;
    if (measure == Measure::kSpanMemoryDelta && span.memory_delta == kNoMemory) continue;
    const std::int64_t value = measure == Measure::kSpanDuration ? duration : span.memory_delta;
    if (rule(index).Judge(static_cast<double>(value)) == Severity::kNone) continue;
    matched = true;
    Judge(now_ns, index,
          {subject, static_cast<double>(value), span.trace_id, span.span_id, static_cast<double>(duration),
           span.error_type, span.error_message, false});
  }
  return matched;
}

void Alerts::OnOpenSpan(std::int64_t now_ns, const Subject& subject, const SpanView& span, std::int64_t open_for_ns) {
  for (const std::uint16_t index : open_rules_) {
    const auto value = static_cast<double>(open_for_ns);
    if (rule(index).Judge(value) == Severity::kNone || !Applies(rule(index), subject)) continue;
    Judge(now_ns, index, {subject, value, span.trace_id, span.span_id, value, {}, {}, false});
  }
}

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
  const StoredSpan& span = trace.spans[trace.root != kNone ? trace.root : TopOf(trace)];
  return {{span.operation, span.kind, span.status}, span.span_id};
}

bool Alerts::OnTrace(std::int64_t now_ns, bool complete, const OpenSpan* root, Trace* trace) {
  if (trace->spans.empty() || trace_rules_.empty()) return false;
  bool matched = false;
  for (const std::uint16_t index : trace_rules_) {
    double value;
    switch (rule(index).measure) {
      case Measure::kTraceDepth:
        value = trace->depth;
        break;
      case Measure::kTraceSpanCount:
        value = static_cast<double>(trace->spans.size() + trace->truncated);
        break;
      case Measure::kTraceDuration:
        value = static_cast<double>(trace->DurationNs());
        break;
      case Measure::kTraceErrorCount:
        value = trace->errors;
        break;
      default:
        if (trace->memory_delta == kNoMemory) continue;
        value = static_cast<double>(trace->memory_delta);
    }
    const bool crossing =
        rule(index).measure == Measure::kTraceDepth || rule(index).measure == Measure::kTraceSpanCount;
    if (complete || (crossing && rule(index).direction == Direction::kAbove)) {
      matched = JudgeTrace(now_ns, index, value, root, trace) || matched;
    }
  }
  return matched;
}

bool Alerts::JudgeTrace(std::int64_t now_ns, std::uint32_t index, double value, const OpenSpan* root, Trace* trace) {
  const Severity severity = rule(index).Judge(value);
  if (severity == Severity::kNone) return false;
  auto it = std::find_if(trace->verdicts.begin(), trace->verdicts.end(),
                         [&](const TraceVerdict& v) { return v.rule == index; });
  const bool repeat = it != trace->verdicts.end();
  if (repeat && severity <= it->severity && value == it->value) return true;
  if (!repeat) {
    const Named named = NameOf(*trace, root);
    if (!Applies(rule(index), named.subject)) return false;
    it = trace->verdicts.insert(trace->verdicts.end(), {index, severity, named.subject.operation, named.subject.kind,
                                                        named.subject.status, named.span, value});
  }
  it->severity = severity;
  it->value = value;
  const SpanId where = rule(index).measure == Measure::kTraceMemoryDelta && trace->memory_span != kNone
                           ? trace->spans[trace->memory_span].span_id
                           : it->span;
  const Subject subject{it->operation, it->kind, it->status};
  Judge(now_ns, index, {subject, value, trace->id, where, static_cast<double>(trace->DurationNs()), {}, {}, repeat});
  return true;
}

void Alerts::Judge(std::int64_t now_ns, std::uint32_t index, const Event& event) {
  const Rule& source = rule(index);
  const Severity severity = source.Judge(event.value);
  const std::uint64_t key = KeyOf(index, event.subject);
  Active* active = Find(key);
  if (active == nullptr) active = Create(now_ns, key, index, event.subject);
  if (active == nullptr) return;
  if (severity >= Severity::kWarning && source.warning) {
    active->levels[0].active = active->levels[0].firing = true;
    active->levels[0].last_ns = now_ns;
  }
  if (severity == Severity::kCritical) {
    active->levels[1].active = active->levels[1].firing = true;
    active->levels[1].last_ns = now_ns;
  }
  Incident& incident = active->incident;
  const bool first = incident.count == 0;
  if (!event.repeat || first) ++incident.count;
  incident.value = event.value;
  incident.last_match_ns = now_ns;
  const bool worse =
      source.direction == Direction::kAbove ? event.value > incident.worst_value : event.value < incident.worst_value;
  if (first || worse) {
    incident.worst_value = event.value;
    incident.worst_trace = event.trace_id;
    incident.worst_span = event.span_id;
    incident.worst_trace_duration_ns = event.trace_duration_ns;
  }
  if (!event.error_type.empty() || !event.error_message.empty())
    incident.last_error = ErrorText(event.error_type, event.error_message);
  active->dirty = true;
  Settle(now_ns, active);
  timers_due_ = std::min(timers_due_, DueOf(*active));
}

// Brings state and severity into line with the levels, and says so.
void Alerts::Settle(std::int64_t now_ns, Active* active) {
  Incident& incident = active->incident;
  const Severity before = incident.severity;
  const Severity now = active->levels[1].firing   ? Severity::kCritical
                       : active->levels[0].firing ? Severity::kWarning
                                                  : Severity::kNone;
  if (now == before) {
    if (now == Severity::kNone && !active->levels[0].active && !active->levels[1].active)
      incident.state = AlertState::kInactive;
    return;
  }
  if (now == Severity::kNone) return Resolve(now_ns, active);
  incident.severity = now;
  if (now > incident.peak_severity) {
    incident.peak_severity = now;
    const Rule& source = rule(active->rule);
    incident.threshold = now == Severity::kCritical ? *source.critical : *source.warning;
  }
  if (before == Severity::kNone) {
    incident.state = AlertState::kFiring;
    incident.fired_at_ns = now_ns;
    Emit(now_ns, TransitionKind::kFiring, active);
  } else {
    Emit(now_ns, now > before ? TransitionKind::kEscalated : TransitionKind::kDeescalated, active);
  }
}

void Alerts::Resolve(std::int64_t now_ns, Active* active) {
  Render(active);
  ResolveOrphan(now_ns, active);
}

// Also for an incident whose rule is gone: the annotations stay as they were.
void Alerts::ResolveOrphan(std::int64_t now_ns, Active* active) {
  active->incident.state = AlertState::kResolved;
  active->incident.severity = Severity::kNone;
  active->incident.resolved_at_ns = now_ns;
  Publish(now_ns, TransitionKind::kResolved, active);
  while (!resolved_.empty() &&
         (resolved_.size() >= limits_.max_incidents || resolved_.front().resolved_at_ns + kShowResolvedNs < now_ns)) {
    resolved_.erase(resolved_.begin());
  }
  resolved_.push_back(active->incident);
}

void Alerts::Render(Active* active) const {
  Incident& incident = active->incident;
  const std::string value = FormatValue(incident.value, incident.unit);
  const std::string worst = FormatValue(incident.worst_value, incident.unit);
  const std::string threshold = FormatValue(incident.threshold, incident.unit);
  const std::string count = std::to_string(incident.count);
  const std::string severity = ToString(incident.peak_severity);
  std::vector<TemplateValue> values = {{"value", value, incident.value},
                                       {"worst", worst, incident.worst_value},
                                       {"threshold", threshold, incident.threshold},
                                       {"count", count, static_cast<double>(incident.count)},
                                       {"severity", severity},
                                       {"alertname", incident.alertname},
                                       {"error", incident.last_error},
                                       {"issues", active->issues}};
  for (const NameValue& label : incident.labels) values.push_back({label.name, label.value});
  incident.annotations.clear();
  for (const NameValue& annotation : rule(active->rule).annotations) {
    incident.annotations.push_back({annotation.name, RenderTemplate(annotation.value, values)});
  }
}

void Alerts::Emit(std::int64_t now_ns, TransitionKind kind, Active* active) {
  Render(active);
  Publish(now_ns, kind, active);
}

void Alerts::Publish(std::int64_t now_ns, TransitionKind kind, Active* active) {
  active->incident.lost_spans = total_lost_ - active->lost_before;
  ++active->transitions;
  active->dirty = false;
  active->emitted_ns = now_ns;
  transitions_.push_back({active->incident.id + "/" + std::to_string(active->transitions) + "/" + ToString(kind), kind,
                          now_ns, active->incident});
}

std::int64_t Alerts::DueOf(const Active& active) const {
  std::int64_t due = active.dirty && active.incident.state == AlertState::kFiring
                         ? active.emitted_ns + limits_.update_interval_ns
                         : INT64_MAX;
  if (IsWindow(rule(active.rule).measure)) return due;
  for (const Level& level : active.levels) {
    if (level.active) due = std::min(due, level.last_ns + rule(active.rule).keep_firing_for_ns);
  }
  return due;
}

void Alerts::ExpireEvents(std::int64_t now_ns, Active* active) {
  for (Level& level : active->levels) {
    if (level.active && level.last_ns + rule(active->rule).keep_firing_for_ns <= now_ns) level = Level();
  }
  Settle(now_ns, active);
}

// Forgets incidents that are over.
void Alerts::Sweep() {
  const auto over = [](const std::unique_ptr<Active>& active) {
    return active->incident.state == AlertState::kResolved || active->incident.state == AlertState::kInactive;
  };
  if (std::none_of(active_.begin(), active_.end(), over)) return;
  for (const auto& active : active_) {
    if (over(active)) active_index_.erase(active->key);
  }
  std::erase_if(active_, over);
}

std::uint64_t Alerts::Count(AlertState state) const {
  return static_cast<std::uint64_t>(std::count_if(active_.begin(), active_.end(),
                                                  [&](const auto& active) { return active->incident.state == state; }));
}

std::vector<Incident> Alerts::Show(std::int64_t now_ns) const {
  std::vector<Incident> incidents;
  for (auto it = active_.rbegin(); it != active_.rend(); ++it) {
    const AlertState state = (*it)->incident.state;
    if (state != AlertState::kPending && state != AlertState::kFiring) continue;
    incidents.push_back((*it)->incident);
    incidents.back().lost_spans = total_lost_ - (*it)->lost_before;
  }
  for (auto it = resolved_.rbegin(); it != resolved_.rend(); ++it) {
    if (it->resolved_at_ns + kShowResolvedNs >= now_ns) incidents.push_back(*it);
  }
  return incidents;
}

}  // namespace spanwatch::core
