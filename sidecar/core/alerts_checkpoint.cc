// States of alerts as a checkpoint keeps them: window slots, incidents, timers.
#include <algorithm>

#include "sidecar/core/alerts.h"
#include "sidecar/core/incident_codec.h"

namespace spanwatch::core {
namespace {

constexpr std::int64_t kMostNs = 1ll << 62;

void SaveSubject(const Subject& subject, CodecWriter* out) {
  // Operation kNone becomes 0: small, and never a number that exists.
  out->U64(static_cast<std::uint32_t>(subject.operation + 1));
  out->U64(static_cast<std::uint64_t>(subject.kind)).U64(static_cast<std::uint64_t>(subject.status));
}

Subject LoadSubject(CodecReader* in, std::size_t operations) {
  Subject subject;
  subject.operation = static_cast<std::uint32_t>(in->Below(operations + 1)) - 1;
  subject.kind = static_cast<SpanKind>(in->Below(6));
  subject.status = static_cast<StatusCode>(in->Below(3));
  return subject;
}

}  // namespace

void Alerts::SaveGroup(const Group& group, CodecWriter* out) const {
  out->Bool(group.rule != kNone);
  if (group.rule == kNone) return;
  out->U64(group.rule);
  SaveSubject(group.subject, out);
  out->Bool(group.watched).Bool(group.standing).Bool(group.over).Text(group.texts);
  group.slots.Save(out);
  out->I64(group.seen_ns).F64(group.gauge).Id(group.trace).Id(group.span).F64(group.trace_value);
  out->I64(group.trace_slot).Text(group.last_error).U64(group.lost_before);
}

bool Alerts::LoadGroup(CodecReader* in, std::size_t operations, std::uint32_t number) {
  Group& group = groups_.Append();
  if (!in->Bool()) return in->ok();
  const auto index = static_cast<std::uint32_t>(in->Below(rules_->rules.size()));
  group.subject = LoadSubject(in, operations);
  group.watched = in->Bool();
  group.standing = in->Bool();
  group.over = in->Bool();
  group.texts = in->Text();
  if (!in->ok()) return false;
  group.rule = index;
  group.counting = infos_[index].counting;
  group.slots.Configure(infos_[index].slot_ns, infos_[index].slots);
  if (!group.slots.Load(in)) return false;
  group.seen_ns = std::clamp<std::int64_t>(in->I64(), 0, kMostNs);
  group.gauge = in->F64();
  group.trace = in->TraceIdValue();
  group.span = in->SpanIdValue();
  group.trace_value = in->F64();
  group.trace_slot = std::clamp<std::int64_t>(in->I64(), -1, kMostNs);
  group.last_error = in->Text();
  group.lost_before = in->U64();
  group.key = KeyOf(index, group.subject, group.texts);
  group_index_[group.key] = number;
  ++states_[index].groups;
  Weigh(&group);
  return in->ok();
}

bool Alerts::LoadGroups(CodecReader* in, std::size_t operations) {
  groups_ = {};
  free_groups_.clear();
  group_index_.clear();
  group_bytes_ = 0;
  for (RuleState& state : states_) state.groups = 0;
  const std::size_t count = in->Count();
  if (count > kMaxGroups) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!LoadGroup(in, operations, i)) return false;
  }
  std::vector<bool> listed(count, false);
  for (std::size_t n = in->Count(); n > 0 && in->ok(); --n) {
    const auto number = static_cast<std::uint32_t>(in->Below(count));
    if (!in->ok() || groups_[number].rule != kNone || listed[number]) return false;
    listed[number] = true;
    free_groups_.push_back(number);
  }
  return in->ok();
}

void Alerts::SaveActive(const Active& active, CodecWriter* out) const {
  out->U64(active.rule);
  SaveSubject(active.subject, out);
  out->Text(active.texts);
  for (const Level& level : active.levels)
    out->Bool(level.active).Bool(level.firing).I64(level.since_ns).I64(level.last_ns).Bool(level.kept);
  out->Bool(active.dirty).I64(active.emitted_ns).U64(active.transitions).U64(active.lost_before).Text(active.issues);
  core::Save(active.incident, out);
}

bool Alerts::LoadActive(CodecReader* in, std::size_t operations) {
  auto active = std::make_unique<Active>();
  active->rule = static_cast<std::uint32_t>(in->Below(rules_->rules.size()));
  active->subject = LoadSubject(in, operations);
  active->texts = in->Text();
  if (!in->ok()) return false;
  for (Level& level : active->levels) {
    level.active = in->Bool();
    level.firing = in->Bool();
    level.since_ns = in->I64();
    level.last_ns = in->I64();
    level.kept = in->Bool();
  }
  active->dirty = in->Bool();
  active->emitted_ns = in->I64();
  active->transitions = in->U32();
  active->lost_before = in->U64();
  active->issues = in->Text();
  if (!core::Load(in, &active->incident)) return false;
  active->serial = ++active_serial_;
  ++states_[active->rule].active;
  active->key = KeyOf(active->rule, active->subject, active->texts);
  active_index_[active->key] = active.get();
  active_.push_back(std::move(active));
  return true;
}

void Alerts::SaveStates(CodecWriter* out) const {
  for (const RuleState& state : states_) {
    out->U64(state.uid).U64(state.evaluations).I64(state.evaluated_ns).I64(state.failed_ns);
    out->U64(static_cast<std::uint64_t>(state.failure));
    for (const std::uint64_t times : state.failures) out->U64(times);
    out->Text(state.unpriced_model);
  }
}

bool Alerts::LoadStates(CodecReader* in) {
  for (RuleState& state : states_) {
    state = RuleState();
    state.uid = in->U32();
    state.evaluations = in->U64();
    state.evaluated_ns = in->I64();
    state.failed_ns = std::clamp<std::int64_t>(in->I64(), 0, kMostNs);
    state.failure = static_cast<RuleFailure>(in->Below(kRuleFailures));
    for (std::uint64_t& times : state.failures) times = in->U64();
    state.unpriced_model = in->Text();
  }
  return in->ok();
}

void Alerts::Save(CodecWriter* out) const {
  out->U64(total_lost_).U64(dropped_).I64(timers_due_).I64(resumed_ns_).U64(group_room_).U64(next_uid_);
  out->U64(next_evaluation_.size());
  for (const std::int64_t due : next_evaluation_) out->I64(due);
  SaveStates(out);
  out->U64(groups_.size());
  for (std::size_t i = 0; i < groups_.size(); ++i) SaveGroup(groups_[i], out);
  out->U64(free_groups_.size());
  for (const std::uint32_t number : free_groups_) out->U64(number);
  out->U64(active_.size());
  for (const auto& active : active_) SaveActive(*active, out);
  out->U64(resolved_.size());
  for (const Incident& incident : resolved_) core::Save(incident, out);
}

bool Alerts::Load(CodecReader* in, std::size_t operations) {
  total_lost_ = in->U64();
  dropped_ = in->U64();
  timers_due_ = in->I64();
  resumed_ns_ = in->I64();
  SetRoom(in->U64());
  next_uid_ = in->U32();
  if (in->U64() != next_evaluation_.size()) return false;
  for (std::int64_t& due : next_evaluation_) due = in->I64();
  if (!LoadStates(in) || !LoadGroups(in, operations)) return false;
  active_.clear();
  active_index_.clear();
  for (std::size_t n = in->Count(); n > 0; --n) {
    if (!LoadActive(in, operations)) return false;
  }
  resolved_.clear();
  for (std::size_t n = in->Count(); n > 0; --n) {
    if (!core::Load(in, &resolved_.emplace_back())) return false;
  }
  resolved_end_ = resolved_.size();
  return in->ok();
}

}  // namespace spanwatch::core
