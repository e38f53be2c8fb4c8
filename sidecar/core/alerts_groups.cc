// The groups of window rules: made, bounded, forgotten, carried over a change of the rules.
#include <algorithm>

#include "sidecar/core/alerts.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kShare = 2000;  // groups that a rule may have whatever the others have
constexpr std::size_t kForgottenPerHold = 1000;
constexpr std::uint64_t kGroupIndexBytes = 64;
constexpr std::uint64_t kMinRoom = 1u << 20;
constexpr std::size_t kInPlace = 15;  // bytes that a string holds itself

std::uint64_t HeapBytes(const std::string& text) { return text.size() <= kInPlace ? 0 : text.size() + 16; }

}  // namespace

void Alerts::SetRoom(std::uint64_t bytes) { group_room_ = std::clamp(bytes, kMinRoom, kMaxGroupBytes); }

// Above its share a rule gets more while a quarter of everything is free: it cannot take the room of the others.
bool Alerts::HasRoom(std::uint32_t index) const {
  const auto allows = [&](std::uint64_t used, std::uint64_t most) {
    return used < (states_[index].groups < kShare ? most : most - most / 4);
  };
  return allows(group_count(), kMaxGroups) && allows(group_bytes_, group_room_);
}

void Alerts::Weigh(Group* group) {
  const std::uint64_t bytes =
      sizeof(Group) + kGroupIndexBytes + group->slots.bytes() + HeapBytes(group->texts) + HeapBytes(group->last_error);
  group_bytes_ += bytes - group->bytes;  // may wrap around: sums modulo 2^64
  group->bytes = bytes;
}

std::uint32_t Alerts::GroupOf(std::uint32_t index, const Subject& subject, std::string texts) {
  const std::uint64_t key = KeyOf(index, subject, texts);
  if (const auto it = group_index_.find(key); it != group_index_.end()) return it->second;
  if (!HasRoom(index)) return kNone;
  std::uint32_t number;
  if (free_groups_.empty()) {
    number = static_cast<std::uint32_t>(groups_.size());
    groups_.Append();
  } else {
    number = free_groups_.back();
    free_groups_.pop_back();
  }
  Group& group = groups_[number];
  group.rule = index;
  group.counting = infos_[index].counting;
  group.subject = infos_[index].keeps_texts ? Subject{} : subject;
  group.key = key;
  group.texts = std::move(texts);
  group.lost_before = total_lost_;
  group.slots.Configure(infos_[index].slot_ns, infos_[index].slots);
  ++states_[index].groups;
  Weigh(&group);
  return group_index_[key] = number;
}

void Alerts::FreeGroup(std::uint32_t number) {
  Group& group = groups_[number];
  group_index_.erase(group.key);
  group_bytes_ -= group.bytes;
  --states_[group.rule].groups;
  const RuleInfo& info = infos_[group.rule];
  if (info.counting != Counting::kNothing && !info.per_span) ++generation_;  // bindings name it
  group = Group();
  free_groups_.push_back(number);
}

Alerts::Binding Alerts::Bind(const Subject& subject) {
  Binding binding;
  for (std::uint32_t i = 0; i < rules_->rules.size(); ++i) {
    const Rule& each = rule(i);
    const RuleInfo& info = infos_[i];
    if (IsTrace(each.measure) || each.measure == Measure::kSpanOpenFor) continue;
    if (IsWindow(each.measure)) {
      if (info.counting != Counting::kNothing && Applies(each, subject)) binding.windows.push_back(kPerSpan + i);
      continue;
    }
    if (!Applies(each, subject)) continue;
    binding.events.push_back(static_cast<std::uint16_t>(i));
    const double lowest = each.direction == Direction::kBelow ? -1 : info.lowest;
    const std::int64_t border =
        each.measure == Measure::kSpanDuration ? static_cast<std::int64_t>(std::clamp(lowest, -1.0, 9e18)) : -1;
    binding.min_duration_ns = std::min(binding.min_duration_ns, border);
  }
  return binding;
}

// Groups that no span has to make: those of rules without any, and of `absent` where the rule names who is missed.
void Alerts::MakeStanding(std::uint32_t index) {
  const Rule& source = rule(index);
  if (source.measure == Measure::kStoreFill || source.measure == Measure::kSpansLost) {
    const std::uint32_t group = GroupOf(index, Subject{}, "");
    if (group != kNone) groups_[group].standing = true;
    return;
  }
  if (source.measure != Measure::kAbsent) return;
  std::string texts;
  CodecWriter out(&texts);
  for (const RuleLabel& label : source.by) {
    const auto named = std::find_if(source.match.begin(), source.match.end(), [&](const LabelMatcher& matcher) {
      return matcher.label == label && matcher.pattern->Literal().has_value();
    });
    if (named == source.match.end()) return;
    out.Text(*named->pattern->Literal());
  }
  const std::uint32_t group = GroupOf(index, Subject{}, std::move(texts));
  if (group != kNone) groups_[group].standing = true;
}

// What the hot path needs to know of the rules.
void Alerts::Summarise() {
  min_depth_ = UINT32_MAX;
  min_span_count_ = UINT64_MAX;
  for (auto* list : {&trace_rules_, &open_rules_, &health_rules_, &process_rules_}) list->clear();
  for (std::uint32_t i = 0; i < rules_->rules.size(); ++i) {
    const Rule& each = rule(i);
    const auto number = static_cast<std::uint16_t>(i);
    if (IsTrace(each.measure)) trace_rules_.push_back(number);
    if (each.measure == Measure::kSpanOpenFor) open_rules_.push_back(number);
    if (each.measure == Measure::kServiceHealth) health_rules_.push_back(number);
    if (infos_[i].per_service) process_rules_.push_back(number);
    if (each.direction == Direction::kBelow) continue;
    const double lowest = std::clamp(infos_[i].lowest, 0.0, 1e9);
    if (each.measure == Measure::kTraceDepth) min_depth_ = std::min(min_depth_, static_cast<std::uint32_t>(lowest));
    if (each.measure == Measure::kTraceSpanCount)
      min_span_count_ = std::min(min_span_count_, static_cast<std::uint64_t>(lowest));
  }
}

void Alerts::CarryGroups(const std::vector<std::uint32_t>& renamed) {
  Blocks<Group> groups = std::move(groups_);
  groups_ = {};
  free_groups_.clear();
  group_index_.clear();
  group_bytes_ = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    Group& group = groups[i];
    if (group.rule == kNone || renamed[group.rule] == kNone) continue;
    group.rule = renamed[group.rule];
    group.key = KeyOf(group.rule, group.subject, group.texts);
    group_index_[group.key] = static_cast<std::uint32_t>(groups_.size());
    group_bytes_ += group.bytes;
    groups_.Append() = std::move(group);
  }
}

// Moves groups and incidents to the new numbers of their rules; what has no rule any more is over.
void Alerts::Carry(std::int64_t now_ns, const RuleSet& old) {
  std::vector<std::uint32_t> renamed(old.rules.size(), kNone);
  std::vector<RuleState> states(rules_->rules.size());
  std::vector<std::int64_t> next(rules_->rules.size(), INT64_MAX);
  for (std::uint32_t j = 0; j < rules_->rules.size(); ++j) {
    for (std::uint32_t i = 0; i < old.rules.size(); ++i) {
      const Rule& a = old.rules[i];
      const Rule& b = rule(j);
      if (renamed[i] != kNone || a.group != b.group || a.alert != b.alert || a.text != b.text) continue;
      renamed[i] = j;
      states[j] = states_[i];
      next[j] = next_evaluation_[i];
      break;
    }
    if (states[j].uid != 0) continue;
    states[j].uid = next_uid_++;
    if (IsWindow(rule(j).measure)) next[j] = (now_ns / kTickNs + 1) * kTickNs;
  }
  states_ = std::move(states);
  next_evaluation_ = std::move(next);
  CarryGroups(renamed);
  active_index_.clear();
  for (const auto& active : active_) {
    if (renamed[active->rule] == kNone) {
      if (active->incident.state == AlertState::kFiring) ResolveOrphan(now_ns, active.get());
      active->incident.state = AlertState::kResolved;
    } else {
      active->rule = renamed[active->rule];
      active->key = KeyOf(active->rule, active->subject, active->texts);
      active_index_[active->key] = active.get();
    }
  }
  std::erase_if(active_, [](const auto& active) { return active->incident.state == AlertState::kResolved; });
}

void Alerts::ForgetIdle(std::int64_t now_ns) {
  std::size_t left = kForgottenPerHold;
  for (std::uint32_t i = 0; i < groups_.size() && left > 0; ++i) {
    const Group& group = groups_[i];
    if (group.rule == kNone || group.watched || group.standing) continue;
    const Counting counting = infos_[group.rule].counting;
    if (counting == Counting::kNothing || counting == Counting::kPresence || !group.slots.IsIdle(now_ns, 2)) continue;
    FreeGroup(i);
    --left;
  }
}

void Alerts::MarkOperations(std::vector<bool>* marks) const {
  const auto mark = [&](const Subject& subject) {
    if (subject.operation < marks->size()) (*marks)[subject.operation] = true;
  };
  for (std::size_t i = 0; i < groups_.size(); ++i) mark(groups_[i].subject);
  for (const auto& active : active_) mark(active->subject);
}

void Alerts::Configure(std::int64_t now_ns, const Limits& limits, std::shared_ptr<const RuleSet> rules) {
  limits_ = limits;
  const std::shared_ptr<const RuleSet> old = std::exchange(rules_, std::move(rules));
  infos_.clear();
  for (const Rule& each : rules_->rules) infos_.emplace_back(each);
  Carry(now_ns, *old);
  Summarise();
  for (std::uint32_t i = 0; i < rules_->rules.size(); ++i) MakeStanding(i);
  timers_due_ = now_ns;
  ++generation_;
}

}  // namespace spanwatch::core
