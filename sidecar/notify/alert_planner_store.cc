// What a planner of alerts needs to go on after a restart, as bytes. An incident's row begins as DiscordPlanner's does
// and either reads the other's: a receiver may change its kind while alerts fire. Back-off begins afresh.
#include <algorithm>
#include <utility>

#include "sidecar/core/hash.h"
#include "sidecar/core/incident_codec.h"
#include "sidecar/notify/alert_planner.h"

namespace spanwatch::notify {
namespace {

constexpr std::uint64_t kVersion = 1;

}  // namespace

void AlertPlanner::Encode(const Tracked& tracked, std::string* out) const {
  core::CodecWriter writer(out);
  writer.U64(kVersion).U64(tracked.number).Bool(tracked.unwatched);
  core::Save(tracked.incident, &writer);
  writer.U64(tracked.levels.size());
  for (const Level& level : tracked.levels) {
    writer.U64(static_cast<std::uint64_t>(level.severity)).I64(level.starts_ns).I64(level.ends_ns);
    writer.U64(static_cast<std::uint64_t>(level.told)).I64(level.told_wall_ns);
  }
}

bool AlertPlanner::Decode(const StoredIncident& row, Tracked* tracked) const {
  core::CodecReader reader(row.body);
  const bool known_version = reader.U64() == kVersion;
  tracked->number = reader.U64();
  tracked->unwatched = reader.Bool();
  if (!known_version || !core::Load(&reader, &tracked->incident) || tracked->incident.id != row.id) return false;
  if (reader.AtEnd()) return true;  // of another kind of receiver: nothing is told yet
  const std::uint64_t count = reader.Below(8);
  for (std::uint64_t i = 0; i < count; ++i) {
    Level level;
    level.severity = static_cast<core::Severity>(reader.Below(3));
    level.starts_ns = reader.I64();
    level.ends_ns = reader.I64();
    level.told = static_cast<Told>(reader.Below(5));
    level.told_wall_ns = reader.I64();
    tracked->levels.push_back(level);
  }
  return reader.AtEnd();
}

Changes AlertPlanner::TakeChanges() {
  Changes changes;
  changes.reset = !std::exchange(saved_is_valid_, true);
  std::vector<StoredSlot> groups;
  SaveGroups(&groups);
  std::map<GroupId, std::uint64_t> hashes;
  for (StoredSlot& group : groups) {
    const std::uint64_t hash = core::Hasher().Add(std::string_view(group.body)).Digest64();
    hashes.emplace(group.id, hash);
    const auto it = saved_groups_.find(group.id);
    if (it == saved_groups_.end() || it->second != hash) changes.slots.push_back(std::move(group));
  }
  for (const auto& [id, hash] : saved_groups_) {
    if (!hashes.contains(id)) changes.removed_slots.push_back(id);
  }
  saved_groups_ = std::move(hashes);
  for (const auto& [id, tracked] : incidents_) {
    const SavedIncident now{tracked.version, tracked.group};
    const auto [it, is_new] = saved_incidents_.try_emplace(id, now);
    if (!is_new && std::exchange(it->second, now) == now) continue;
    std::string body;
    Encode(tracked, &body);
    changes.incidents.push_back({id, tracked.group, 0, std::move(body)});
  }
  for (auto it = saved_incidents_.begin(); it != saved_incidents_.end();) {
    if (!incidents_.contains(it->first)) changes.removed_incidents.push_back(it->first);
    it = incidents_.contains(it->first) ? std::next(it) : saved_incidents_.erase(it);
  }
  return changes;
}

void AlertPlanner::ForgetSaved() {
  saved_is_valid_ = false;
  saved_groups_.clear();
  saved_incidents_.clear();
}

std::size_t AlertPlanner::Load(const StoredReceiver& stored, std::int64_t now_ns, std::int64_t wall_ns) {
  to_wall_ns_ = wall_ns - now_ns;
  std::size_t unreadable = 0;
  for (const StoredSlot& row : stored.slots) {
    if (row.id == 0 || row.id >= UINT64_MAX / 2 || !LoadGroup(row, now_ns)) ++unreadable;
  }
  for (const StoredIncident& row : stored.incidents) {
    Tracked tracked;
    if (!Decode(row, &tracked)) {
      ++unreadable;
      continue;
    }
    tracked.inherited = true;
    tracked.group = row.slot;
    if (tracked.levels.empty() && !tracked.Fires()) continue;
    if (tracked.levels.empty()) Follow(&tracked, tracked.incident.fired_at_ns);
    incidents_.insert_or_assign(row.id, std::move(tracked));
  }
  ForgetSaved();
  return unreadable;
}

void AlertPlanner::Reconcile(const std::vector<core::Incident>& living, bool tell_living, std::int64_t now_ns) {
  std::map<std::string, const core::Incident*> by_id;
  for (const core::Incident& incident : living) by_id.emplace(incident.id, &incident);
  std::vector<std::string> firing;
  for (const auto& [id, tracked] : incidents_) {
    if (tracked.inherited && tracked.Fires()) firing.push_back(id);
  }
  for (const std::string& id : firing) {
    Tracked& tracked = incidents_.at(id);
    const auto it = by_id.find(id);
    if (it != by_id.end() && it->second->state != core::AlertState::kResolved) continue;
    if (it != by_id.end()) {
      tracked.incident = *it->second;
    } else {
      tracked.incident.state = core::AlertState::kResolved;
      tracked.incident.resolved_at_ns = 0;
      tracked.unwatched = true;
    }
    Follow(&tracked, ToWall(now_ns));
    Direct(&tracked);
    ++tracked.version;
    OnChange(&tracked, now_ns);
  }
  if (!tell_living) return;
  for (const core::Incident& incident : living) {
    if (incident.state != core::AlertState::kFiring || incidents_.contains(incident.id)) continue;
    core::Transition transition;
    transition.kind = core::TransitionKind::kFiring;
    transition.at_ns = incident.fired_at_ns;
    transition.incident = incident;
    Add(transition, now_ns, false);
  }
}

}  // namespace spanwatch::notify
