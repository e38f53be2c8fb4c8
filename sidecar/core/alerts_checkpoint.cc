// States of alerts as a checkpoint keeps them: window slots, incidents, timers.
#include "sidecar/core/alerts.h"
#include "sidecar/core/incident_codec.h"

namespace spanwatch::core {
namespace {

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
  out->U64(group.rule);
  SaveSubject(group.subject, out);
  out->I64(group.newest).Bool(group.watched).Id(group.trace).Id(group.span).Text(group.last_error);
  out->U64(group.lost_before);
  for (const Slot& slot : group.slots) {
    out->I64(slot.number);
    if (slot.number >= 0) out->F64(slot.total).F64(slot.errors).F64(slot.duration_ns).U64(slot.raw);
  }
}

bool Alerts::LoadGroup(CodecReader* in, std::size_t operations) {
  Group group;
  group.rule = static_cast<std::uint32_t>(in->Below(rules_->rules.size()));
  group.subject = LoadSubject(in, operations);
  if (!in->ok()) return false;
  group.slot_ns = SlotNs(rule(group.rule));
  group.newest = in->I64();
  group.watched = in->Bool();
  group.trace = in->TraceIdValue();
  group.span = in->SpanIdValue();
  group.last_error = in->Text();
  group.lost_before = in->U64();
  for (Slot& slot : group.slots) {
    slot.number = in->I64();
    if (slot.number < 0) continue;
    slot.total = in->F64();
    slot.errors = in->F64();
    slot.duration_ns = in->F64();
    slot.raw = in->U32();
  }
  group_index_[KeyOf(group.rule, group.subject)] = static_cast<std::uint32_t>(groups_.size());
  groups_.push_back(std::move(group));
  return in->ok();
}

void Alerts::SaveActive(const Active& active, CodecWriter* out) const {
  out->U64(active.rule);
  SaveSubject(active.subject, out);
  for (const Level& level : active.levels)
    out->Bool(level.active).Bool(level.firing).I64(level.since_ns).I64(level.last_ns).Bool(level.kept);
  out->Bool(active.dirty).I64(active.emitted_ns).U64(active.transitions).U64(active.lost_before).Text(active.issues);
  core::Save(active.incident, out);
}

bool Alerts::LoadActive(CodecReader* in, std::size_t operations) {
  auto active = std::make_unique<Active>();
  active->rule = static_cast<std::uint32_t>(in->Below(rules_->rules.size()));
  active->subject = LoadSubject(in, operations);
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
  active->key = KeyOf(active->rule, active->subject);
  active_index_[active->key] = active.get();
  active_.push_back(std::move(active));
  return true;
}

void Alerts::Save(CodecWriter* out) const {
  out->U64(total_lost_).U64(dropped_).I64(timers_due_).U64(next_evaluation_.size());
  for (const std::int64_t due : next_evaluation_) out->I64(due);
  out->U64(groups_.size());
  for (const Group& group : groups_) SaveGroup(group, out);
  out->U64(active_.size());
  for (const auto& active : active_) SaveActive(*active, out);
  out->U64(resolved_.size());
  for (const Incident& incident : resolved_) core::Save(incident, out);
}

bool Alerts::Load(CodecReader* in, std::size_t operations) {
  total_lost_ = in->U64();
  dropped_ = in->U64();
  timers_due_ = in->I64();
  if (in->U64() != next_evaluation_.size()) return false;
  for (std::int64_t& due : next_evaluation_) due = in->I64();
  groups_.clear();
  group_index_.clear();
  for (std::size_t n = in->Count(); n > 0; --n) {
    if (!LoadGroup(in, operations)) return false;
  }
  active_.clear();
  active_index_.clear();
  for (std::size_t n = in->Count(); n > 0; --n) {
    if (!LoadActive(in, operations)) return false;
  }
  resolved_.clear();
  for (std::size_t n = in->Count(); n > 0; --n) {
    if (!core::Load(in, &resolved_.emplace_back())) return false;
  }
  return in->ok();
}

}  // namespace spanwatch::core
