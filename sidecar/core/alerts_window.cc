// Rules over windows: a pass over their groups at each tick at which one is due, in parts that fit a short hold.
#include <algorithm>
#include <cmath>
#include <map>

#include "sidecar/core/alerts.h"
#include "sidecar/core/health.h"

namespace spanwatch::core {
namespace {

// What one hold may do, and what its parts cost: a group that is not due, one that is, one with sketches, a service
// whose issues are put into words, a transition.
constexpr std::size_t kBudget = 1000, kSkipCost = 1, kGroupCost = 5, kSketchCost = 150, kServiceCost = 10,
                      kTransitionCost = 25;
constexpr double kBudgetRelease = 0.9;

double QuantileOf(Measure measure) {
  switch (measure) {
    case Measure::kDurationP50:
      return 0.5;
    case Measure::kDurationP90:
      return 0.9;
    case Measure::kDurationP95:
      return 0.95;
    default:
      return 0.99;
  }
}

void Spend(std::size_t cost, std::size_t* budget) { *budget -= std::min(cost, *budget); }

}  // namespace

// As Google's SRE workbook has it ("Alerting on SLOs", 6: multiwindow, multi-burn-rate alerts,
// https://sre.google/workbook/alerting-on-slos/): the burn rate is the share of bad spans over the share that the
// objective allows, and both windows must be above the threshold: the long one says that it matters, the short one that
// it still goes on. Both are above exactly if the smaller one is.
double Alerts::BurnRate(std::int64_t now_ns, const Group& group, const WindowSlots::Counts& all) const {
  const WindowSlots::Counts latest = group.slots.Sum(now_ns, infos_[group.rule].short_slots);
  const double allowed = 1 - rule(group.rule).objective;
  const auto burn = [&](const WindowSlots::Counts& counts) {
    return counts.total > 0 ? counts.part / counts.total / allowed : 0;
  };
  return std::min(burn(all), burn(latest));
}

// A rate is too low once its group was counted for a whole window, and goes on to be so when nothing comes any more.
void Alerts::LookForMissing(std::int64_t now_ns, Group* group, Reading* reading) const {
  const Rule& source = rule(group->rule);
  if (group->seen_ns == 0) group->seen_ns = now_ns;
  const std::int64_t latest_ns = (group->slots.newest() + 1) * group->slots.slot_ns();
  group->over = now_ns - latest_ns >= source.window_ns + kGiveUpNs;
  reading->enough = reading->spans >= source.min_count && !group->over;
  reading->early = now_ns - group->seen_ns < source.window_ns && source.Judge(reading->value) != Severity::kNone;
}

Alerts::Reading Alerts::ReadGroup(std::int64_t now_ns, const World& world, Group* group) {
  const Rule& source = rule(group->rule);
  Reading reading{0, 1, true, false, group->trace, group->span, 0, group->last_error, {}};
  switch (source.measure) {
    case Measure::kStoreFill:
      reading.value = static_cast<double>(world.store.bytes) /
                      static_cast<double>(std::max<std::uint64_t>(1, limits_.memory_limit_bytes));
      return reading;
    case Measure::kProcessMemory:
      reading.enough = !group->over && group->gauge > 0;
      reading.value = group->gauge;
      return reading;
    case Measure::kProcessSilentFor:
    case Measure::kAbsent: {
      if (group->seen_ns == 0) group->seen_ns = now_ns;
      reading.value = static_cast<double>(now_ns - group->seen_ns);
      const double most = static_cast<double>(kGiveUpNs) +
                          (source.measure == Measure::kAbsent ? std::max(0.0, infos_[group->rule].highest) : 0.0);
      if (!group->standing && reading.value >= most) group->over = true;
      reading.enough = !group->over;
      reading.spans = 0;
      return reading;
    }
    default:
      break;
  }
  if (source.measure == Measure::kSpansLost) {
    if (!group->slots.IsCurrent(now_ns)) Turn(now_ns, group);
    group->slots.current().total += static_cast<double>(total_lost_ - group->lost_before);
    group->lost_before = total_lost_;
  }
  const bool sketched = infos_[group->rule].counting == Counting::kSketch;
  if (sketched) scratch_.Clear();
  const WindowSlots::Counts sum = group->slots.Sum(now_ns, infos_[group->rule].slots, sketched ? &scratch_ : nullptr);
  reading.spans = sum.raw;
  reading.enough = sum.raw >= std::max<std::uint64_t>(1, source.min_count);
  if (sketched || infos_[group->rule].counting == Counting::kDurations) reading.trace_duration_ns = group->trace_value;
  switch (source.measure) {
    case Measure::kErrorRate:
    case Measure::kDurationAvg:
      reading.value = sum.total > 0 ? sum.part / sum.total : 0;
      break;
    case Measure::kErrorCount:
      reading.value = sum.part;
      break;
    case Measure::kRate:
      reading.value = sum.total * 1e9 / static_cast<double>(source.window_ns);
      break;
    case Measure::kSloBurnRate:
      reading.value = BurnRate(now_ns, *group, sum);
      break;
    case Measure::kSpansLost:
      reading.spans = static_cast<std::uint64_t>(std::clamp(sum.total, 0.0, 9e15)) + 1;
      reading.enough = reading.spans >= source.min_count;
      [[fallthrough]];
    default:
      reading.value = sketched ? scratch_.Quantile(QuantileOf(source.measure)) : sum.total;
  }
  return reading;
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

// Whether the condition of a level holds; of a budget that fires, until its sum is at or below the level under it.
bool Alerts::Holds(const Rule& rule, Severity level, Severity severity, double value, const Level& state) {
  const std::optional<double>& own = level == Severity::kCritical ? rule.critical : rule.warning;
  if (!own) return false;
  if (severity >= level || !IsBudget(rule.measure) || !state.firing) return severity >= level;
  const bool above = rule.direction == Direction::kAbove;
  double border = above ? *own * kBudgetRelease : *own / kBudgetRelease;
  if (level == Severity::kCritical && rule.warning) border = *rule.warning;
  return above ? value > border : value < border;
}

// True: the group has an incident.
bool Alerts::EvaluateReading(std::int64_t now_ns, std::uint32_t index, const Subject& subject, std::string_view texts,
                             std::uint64_t key, const Reading& reading) {
  const Rule& source = rule(index);
  const double value = reading.value;
  Active* active = Find(key);
  if (!std::isfinite(value)) {
    Fail(now_ns, index, RuleFailure::kNotFinite);
    return active != nullptr;
  }
  const Severity severity = reading.enough ? source.Judge(value) : Severity::kNone;
  if (active == nullptr && severity != Severity::kNone) active = Create(now_ns, key, index, subject, texts);
  if (active == nullptr) return false;
  Incident& incident = active->incident;
  if (severity != Severity::kNone) {
    const bool worse =
        source.direction == Direction::kAbove ? value > incident.worst_value : value < incident.worst_value;
    // What grows with time alone is no news.
    const bool news = source.measure != Measure::kAbsent && source.measure != Measure::kProcessSilentFor &&
                      (value != incident.value || reading.spans != incident.count);
    if (incident.last_match_ns == 0 || worse) incident.worst_value = value;
    active->dirty = active->dirty || news || reading.issues != active->issues;
    incident.value = value;
    incident.count = reading.spans;
    incident.last_match_ns = now_ns;
    incident.worst_trace = reading.trace;
    incident.worst_span = reading.span;
    incident.worst_trace_duration_ns = reading.trace_duration_ns;
    incident.last_error = reading.last_error;
    active->issues = reading.issues;
  }
  const bool warning = Holds(source, Severity::kWarning, severity, value, active->levels[0]);
  const bool critical = Holds(source, Severity::kCritical, severity, value, active->levels[1]);
  StepLevel(now_ns, source, warning, &active->levels[0]);
  StepLevel(now_ns, source, critical, &active->levels[1]);
  Settle(now_ns, active);
  timers_due_ = std::min(timers_due_, DueOf(*active));
  return incident.state == AlertState::kPending || incident.state == AlertState::kFiring;
}

// The lowest number of an operation of each service; kNone: it has none.
std::vector<std::uint32_t> Alerts::FirstOperations() const {
  std::vector<std::uint32_t> first(catalog_->service_count(), kNone);
  for (auto i = static_cast<std::uint32_t>(catalog_->operation_count()); i-- > 0;) {
    if (catalog_->operation(i).live) first[catalog_->operation(i).service] = i;
  }
  return first;
}

// Services that are not well or have an incident, in order of their numbers. False: there are none.
bool Alerts::ListServices(std::uint32_t index, const Health& health) {
  std::map<std::uint32_t, Subject> services;
  for (const auto& active : active_) {
    if (active->rule == index && active->subject.operation != kNone)
      services[catalog_->operation(active->subject.operation).service] = active->subject;
  }
  const std::vector<std::uint32_t> first = health.unhealthy() > 0 ? FirstOperations() : std::vector<std::uint32_t>();
  for (std::uint32_t i = 0; i < std::min(first.size(), health.size()); ++i) {
    if (health.VerdictOf(i).status == HealthStatus::kHealthy || services.contains(i) || first[i] == kNone) continue;
    services[i] = {first[i], SpanKind::kUnspecified, StatusCode::kUnset};
  }
  for (const auto& [number, subject] : services) {
    if (Applies(rule(index), subject)) pass_.services.push_back({index, number, subject});
  }
  return !services.empty();
}

bool Alerts::RunServices(const World& world, std::size_t* budget) {
  for (; pass_.service < pass_.services.size(); ++pass_.service) {
    if (*budget == 0) return true;
    const auto& [index, number, subject] = pass_.services[pass_.service];
    const std::size_t before = transitions_.size();
    const Health::Verdict verdict = world.health.VerdictOf(number);
    const std::string issues = world.health.Issues(number);
    const Reading reading{static_cast<double>(verdict.status),
                          verdict.spans,
                          true,
                          false,
                          verdict.trace,
                          verdict.span,
                          0,
                          verdict.error,
                          issues};
    EvaluateReading(pass_.now_ns, index, subject, "", KeyOf(index, subject, ""), reading);
    Spend(kServiceCost + (transitions_.size() - before) * kTransitionCost, budget);
  }
  return false;
}

// The rule is to be looked at again at `at_ns`, if not before.
void Alerts::Want(std::uint32_t index, std::int64_t at_ns) { pass_.next[index] = std::min(pass_.next[index], at_ns); }

// Of what grows with time alone: no sooner than it may cross a threshold.
void Alerts::WantNext(std::int64_t now_ns, const Group& group, double value) {
  const RuleInfo& info = infos_[group.rule];
  std::int64_t at = now_ns + info.interval_ns;
  if (!group.watched && rule(group.rule).direction == Direction::kAbove) {
    const double left = std::clamp(info.lowest - value, 0.0, 1e18);
    at = std::max(at, now_ns + (static_cast<std::int64_t>(left) / kTickNs + 1) * kTickNs);
  }
  Want(group.rule, at);
}

void Alerts::EvaluateGroup(std::int64_t now_ns, const World& world, Group* group) {
  const std::uint32_t index = group->rule;
  const RuleInfo& info = infos_[index];
  const bool counts = info.counting != Counting::kNothing && info.counting != Counting::kPresence;
  // A rule without anything to look at sleeps: hours in which nothing came cost nothing, live and at a restart.
  const bool may_miss = info.misses && !group->over;
  if (counts && !group->watched && !may_miss && group->slots.IsIdle(now_ns, 1)) return;
  Reading reading = ReadGroup(now_ns, world, group);
  if (info.misses) LookForMissing(now_ns, group, &reading);
  if (reading.early) return Want(index, now_ns + info.interval_ns);
  group->watched = EvaluateReading(now_ns, index, group->subject, group->texts, group->key, reading);
  if (info.counting == Counting::kSketch) Weigh(group);
  if (counts || group->standing || group->watched || !group->over) {
    if (info.counting == Counting::kPresence || rule(index).measure == Measure::kProcessSilentFor) {
      WantNext(now_ns, *group, reading.value);
    } else {
      Want(index, now_ns + info.interval_ns);
    }
    return;
  }
  FreeGroup(group_index_[group->key]);
}

bool Alerts::RunGroups(const World& world, std::size_t* budget) {
  for (; pass_.group < groups_.size(); ++pass_.group) {
    if (*budget == 0) return true;
    Group& group = groups_[pass_.group];
    if (group.rule == kNone || pass_.next[group.rule] == 0) {
      Spend(kSkipCost, budget);
      continue;
    }
    const std::size_t before = transitions_.size();
    const bool sketch = infos_[group.rule].counting == Counting::kSketch;
    EvaluateGroup(pass_.now_ns, world, &group);
    Spend((sketch ? kSketchCost : kGroupCost) + (transitions_.size() - before) * kTransitionCost, budget);
  }
  return false;
}

// Incidents whose time has come: expiry, updates.
bool Alerts::RunTimers(std::size_t* budget) {
  const std::int64_t now_ns = pass_.now_ns;
  if (!pass_.timers) {
    if (now_ns < timers_due_) return false;
    pass_.timers = true;
    timers_due_ = INT64_MAX;
  }
  for (; pass_.active < active_.size(); ++pass_.active) {
    if (*budget == 0) return true;
    Active* active = active_[pass_.active].get();
    const std::size_t before = transitions_.size();
    if (!IsWindow(rule(active->rule).measure)) ExpireEvents(now_ns, active);
    const bool firing = active->incident.state == AlertState::kFiring;
    if (firing && active->dirty && active->emitted_ns + limits_.update_interval_ns <= now_ns) {
      Emit(now_ns, TransitionKind::kUpdated, active);
    }
    if (firing) timers_due_ = std::min(timers_due_, DueOf(*active));
    Spend(kSkipCost + (transitions_.size() - before) * kTransitionCost, budget);
  }
  return false;
}

void Alerts::BeginPass(std::int64_t now_ns) {
  pass_.running = true;
  pass_.timers = false;
  pass_.now_ns = now_ns;
  pass_.services.clear();
  pass_.service = 0;
  pass_.group = groups_.size();
  pass_.active = 0;
  pass_.rule = 0;
  pass_.next.assign(next_evaluation_.size(), 0);
}

// Begins with each rule that is due: what there is to look at.
bool Alerts::RunRules(const World& world, std::size_t* budget) {
  const std::int64_t now_ns = pass_.now_ns;
  for (; pass_.rule < next_evaluation_.size(); ++pass_.rule) {
    if (*budget == 0) return true;
    const std::uint32_t i = pass_.rule;
    if (next_evaluation_[i] > now_ns) continue;
    pass_.next[i] = INT64_MAX;
    pass_.group = 0;
    ++states_[i].evaluations;
    states_[i].evaluated_ns = now_ns;
    if (infos_[i].per_service) {
      LookAtProcesses(now_ns, i, world.ledger);
      // New processes are looked for before they can have crossed a threshold.
      const auto wait = static_cast<std::int64_t>(std::clamp(infos_[i].lowest, 0.0, 3600e9)) / kTickNs * kTickNs;
      const bool silence = rule(i).measure == Measure::kProcessSilentFor;
      if (world.ledger.HasLiving()) Want(i, now_ns + std::max(infos_[i].interval_ns, silence ? wait : 0));
    }
    const bool health = rule(i).measure == Measure::kServiceHealth;
    if (health && ListServices(i, world.health)) Want(i, now_ns + infos_[i].interval_ns);
    if (infos_[i].per_service || health)
      Spend(kBudget, budget);  // one such rule a hold: there may be a thousand of them
  }
  return false;
}

void Alerts::EndPass() {
  for (std::size_t i = 0; i < pass_.next.size(); ++i) {
    if (pass_.next[i] != 0) next_evaluation_[i] = pass_.next[i];
  }
  pass_.running = false;
  Sweep();
}

bool Alerts::Advance(std::int64_t now_ns, const World& world) {
  if (!pass_.running) {
    const auto wake = [&](const std::vector<std::uint16_t>& rules) {
      for (const std::uint16_t index : rules) {
        if (next_evaluation_[index] == INT64_MAX) next_evaluation_[index] = now_ns;
      }
    };
    if (!health_rules_.empty() && world.health.unhealthy() > 0) wake(health_rules_);
    if (!process_rules_.empty() && world.ledger.HasLiving()) wake(process_rules_);
    if (now_ns < NextDue()) return false;
    BeginPass(now_ns);
  }
  std::size_t budget = kBudget;
  if (RunRules(world, &budget) || RunServices(world, &budget) || RunGroups(world, &budget) || RunTimers(&budget)) {
    return true;
  }
  EndPass();
  return false;
}

std::int64_t Alerts::NextDue() const {
  if (pass_.running) return pass_.now_ns;
  std::int64_t due = timers_due_;
  if (group_count() == 0 && health_rules_.empty() && process_rules_.empty()) return due;
  for (const std::int64_t at : next_evaluation_) due = std::min(due, at);
  return due;
}

void Alerts::Resume(std::int64_t since_ns, std::int64_t now_ns) {
  resumed_ns_ = now_ns;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    Group& group = groups_[i];
    if (group.rule == kNone || group.watched || group.seen_ns == 0) continue;
    if (infos_[group.rule].counting == Counting::kPresence) group.seen_ns += now_ns - std::min(since_ns, now_ns);
  }
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    Group& group = groups_[i];
    if (group.rule == kNone || !infos_[group.rule].misses) continue;
    if (now_ns - since_ns > infos_[group.rule].slot_ns) group.seen_ns = now_ns;
  }
}

}  // namespace spanwatch::core
