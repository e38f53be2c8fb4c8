#include "sidecar/core/alerts.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

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

// "99.95 %"
std::string Percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g %%", share * 100);
  return text.data();
}

}  // namespace

Alerts::Active* Alerts::Find(std::uint64_t key) {
  const auto it = active_index_.find(key);
  return it == active_index_.end() ? nullptr : it->second;
}

// Above a quarter of the table a rule gets more while a quarter is free: it cannot take the room of the others.
bool Alerts::MayCreate(std::uint32_t index) const {
  const std::uint64_t quarter = rules_->rules.size() > 1 ? limits_.max_incidents / 4 : 0;
  return active_.size() < limits_.max_incidents - (states_[index].active >= quarter ? quarter : 0);
}

Alerts::Active* Alerts::Create(std::int64_t now_ns, std::uint64_t key, std::uint32_t index, const Subject& subject,
                               std::string_view texts) {
  if (!MayCreate(index)) {
    ++dropped_;
    Fail(now_ns, index, RuleFailure::kIncidents);
    return nullptr;
  }
  auto active = std::make_unique<Active>();
  active->key = key;
  active->serial = ++active_serial_;
  active->rule = index;
  if (!infos_[index].keeps_texts) active->subject = subject;
  active->texts = texts;
  active->lost_before = total_lost_;
  ++states_[index].active;
  const Rule& source = rule(index);
  Incident& incident = active->incident;
  incident.alertname = source.alert;
  incident.rule_group = source.group;
  incident.labels = LabelsOf(index, subject, texts);
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

bool Alerts::OnSpan(std::int64_t now_ns, const Binding& binding, const Subject& subject, const SpanBatch& batch,
                    const SpanView& span) {
  const std::int64_t duration = std::max<std::int64_t>(0, span.end_ns - span.start_ns);
  bool matched = false;
  for (const std::uint16_t index : binding.events) {
    const Rule& source = rule(index);
    const TagSource tags(batch, span);
    double value = static_cast<double>(duration);
    if (source.measure == Measure::kSpanMemoryDelta) {
      if (span.memory_delta == kNoMemory) continue;
      value = static_cast<double>(span.memory_delta);
    } else if (source.measure == Measure::kSpanTag) {
      AttributeView attribute;
      const auto number = tags.FindOwn(source.tag, &attribute) ? NumberOf(attribute) : std::nullopt;
      if (!number) continue;
      value = *number;
    }
    const bool finite = std::isfinite(value);
    if (finite && source.Judge(value) == Severity::kNone) continue;
    if (infos_[index].matches_tags && !TagsApply(source, tags)) continue;
    if (!finite) {
      Fail(now_ns, index, RuleFailure::kNotFinite);
      continue;
    }
    matched = true;
    const std::string texts = TextsOf(index, subject, tags);
    Judge(now_ns, index,
          {subject, value, span.trace_id, span.span_id, static_cast<double>(duration), span.error_type,
           span.error_message, false, texts});
  }
  return matched;
}

void Alerts::OnOpenSpan(std::int64_t now_ns, const Subject& subject, const SpanBatch& batch, const SpanView& span,
                        std::int64_t open_for_ns) {
  for (const std::uint16_t index : open_rules_) {
    const auto value = static_cast<double>(open_for_ns);
    const TagSource tags(batch, span);
    const Rule& source = rule(index);
    if (source.Judge(value) == Severity::kNone || !Applies(source, subject) || !TagsApply(source, tags)) continue;
    const std::string texts = TextsOf(index, subject, tags);
    Judge(now_ns, index, {subject, value, span.trace_id, span.span_id, value, {}, {}, false, texts});
  }
}

void Alerts::Judge(std::int64_t now_ns, std::uint32_t index, const Event& event) {
  const Rule& source = rule(index);
  const Severity severity = source.Judge(event.value);
  ++states_[index].evaluations;
  states_[index].evaluated_ns = now_ns;
  const std::uint64_t key = KeyOf(index, event.subject, event.texts);
  Active* active = Find(key);
  if (active == nullptr) active = Create(now_ns, key, index, event.subject, event.texts);
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
    resolved_.pop_front();
  }
  resolved_.push_back(active->incident);
  ++resolved_end_;
}

void Alerts::Render(Active* active) const {
  Incident& incident = active->incident;
  const Rule& source = rule(active->rule);
  const std::string value = FormatValue(incident.value, incident.unit);
  const std::string worst = FormatValue(incident.worst_value, incident.unit);
  const std::string threshold = FormatValue(incident.threshold, incident.unit);
  const std::string count = FormatValue(static_cast<double>(incident.count), Unit::kCount);
  const std::string severity = ToString(incident.peak_severity);
  const std::string trace = incident.worst_trace.IsValid() ? incident.worst_trace.ToHex() : std::string();
  const std::string window =
      source.window_ns > 0 ? FormatValue(static_cast<double>(source.window_ns), Unit::kNanoseconds) : std::string();
  const std::string objective = source.objective > 0 ? Percent(source.objective) : std::string();
  const auto known = [](bool is_known, double number) {
    return is_known ? std::optional<double>(number) : std::nullopt;
  };
  std::vector<TemplateValue> values = {
      {"value", value, incident.value},
      {"worst", worst, incident.worst_value},
      {"threshold", threshold, incident.threshold},
      {"count", count, static_cast<double>(incident.count)},
      {"severity", severity},
      {"alertname", incident.alertname},
      {"error", incident.last_error},
      {"issues", active->issues},
      {"window", window, known(source.window_ns > 0, static_cast<double>(source.window_ns))},
      {"objective", objective, known(source.objective > 0, source.objective)},
      {"trace", trace}};
  for (const NameValue& label : incident.labels) values.push_back({label.name, label.value});
  incident.annotations.clear();
  for (const NameValue& annotation : source.annotations) {
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
    if (!over(active)) continue;
    active_index_.erase(active->key);
    --states_[active->rule].active;
  }
  std::erase_if(active_, over);
}

std::uint64_t Alerts::Count(AlertState state) const {
  return static_cast<std::uint64_t>(std::count_if(active_.begin(), active_.end(),
                                                  [&](const auto& active) { return active->incident.state == state; }));
}

void Alerts::ShowActive(std::size_t limit, std::uint64_t* before, std::vector<Incident>* out) const {
  auto at = std::lower_bound(active_.begin(), active_.end(), *before,
                             [](const auto& active, std::uint64_t serial) { return active->serial < serial; });
  while (at != active_.begin() && limit > 0) {
    const Active& active = **--at;
    *before = active.serial;
    if (active.incident.state != AlertState::kPending && active.incident.state != AlertState::kFiring) continue;
    out->push_back(active.incident);
    out->back().lost_spans = total_lost_ - active.lost_before;
    --limit;
  }
}

void Alerts::ShowResolved(std::int64_t now_ns, std::size_t limit, std::uint64_t* before,
                          std::vector<Incident>* out) const {
  const std::uint64_t begin = resolved_end_ - resolved_.size();
  for (*before = std::min(*before, resolved_end_); *before > begin && limit > 0; --limit) {
    const Incident& incident = resolved_[static_cast<std::size_t>(--*before - begin)];
    if (incident.resolved_at_ns + kShowResolvedNs >= now_ns) out->push_back(incident);
  }
}

}  // namespace spanwatch::core
