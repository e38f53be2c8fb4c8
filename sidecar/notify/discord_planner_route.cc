// What the routing lets a receiver be told: which incidents get messages, which messages stay quiet.
#include <algorithm>
#include <utility>

#include "sidecar/notify/discord_planner.h"

namespace spanwatch::notify {
namespace {

bool IsFiring(const core::Incident& incident) { return incident.state != core::AlertState::kResolved; }

}  // namespace

void DiscordPlanner::Redirect(std::int64_t now_ns) {
  std::vector<Tracked*> to_place;
  for (auto it = incidents_.begin(); it != incidents_.end();) {
    Tracked& tracked = it->second;
    tracked.direction = DirectionOf(tracked.incident);
    if (tracked.slot != 0 && !MayPost(tracked) && !IsBegun(tracked.slot)) Withdraw(&tracked, now_ns);
    if (tracked.slot == 0 && !IsFiring(tracked.incident)) {
      it = incidents_.erase(it);
      continue;
    }
    if (tracked.slot == 0 && MayPost(tracked)) to_place.push_back(&tracked);
    ++it;
  }
  std::vector<SlotId> ids;
  for (const auto& [id, slot] : slots_) ids.push_back(id);
  for (const SlotId id : ids) Review(id, now_ns);
  std::stable_sort(to_place.begin(), to_place.end(), [](const Tracked* a, const Tracked* b) {
    return a->incident.fired_at_ns < b->incident.fired_at_ns;
  });
  for (Tracked* tracked : to_place) Place(tracked, now_ns);
}

bool DiscordPlanner::MayPost(const Slot& slot) const {
  return std::any_of(slot.members.begin(), slot.members.end(), [&](const std::string& member) {
    const auto it = incidents_.find(member);
    return it != incidents_.end() && IsFiring(it->second.incident) && MayPost(it->second);
  });
}

// Why nothing new is said of what a message is about: all of it that fires is muted. Empty: that is not so.
std::string DiscordPlanner::Quiet(const Slot& slot) const {
  std::string text;
  for (const std::string& member : slot.members) {
    const auto it = incidents_.find(member);
    if (it == incidents_.end() || !IsFiring(it->second.incident)) continue;
    const Direction& direction = it->second.direction;
    if (!direction.muted) return "";
    if (text.empty()) text = direction.muted_by.empty() ? "muted" : direction.muted_by;
  }
  return text;
}

// Whether Discord may have it already.
bool DiscordPlanner::IsBegun(SlotId id) const {
  return slots_.at(id).posted || (in_flight_ && in_flight_->slot == id && in_flight_->method == Method::kPost);
}

// Takes an incident out of a message that was not sent yet. REQUIRES: !IsBegun(tracked->slot).
void DiscordPlanner::Withdraw(Tracked* tracked, std::int64_t now_ns) {
  const SlotId id = tracked->slot;
  Slot& slot = slots_.at(id);
  if (slot.has_predecessors) {
    // Others may have risen in a fold: it comes. So it does if the message before it is on its way itself.
    if (!slot.is_fold) GoBack(id, now_ns);
    return;
  }
  std::erase(slot.members, tracked->incident.id);
  tracked->slot = 0;
  ++tracked->version;
  if (!slot.members.empty()) return Touch(&slot, false, now_ns);
  Retire(id);
}

// Takes back a message that was not sent, all of whose firing members are not to be told. False: it has to come.
bool DiscordPlanner::Retract(SlotId id, std::int64_t now_ns) {
  if (slots_.at(id).has_predecessors) return GoBack(id, now_ns);
  for (const std::string& member : std::vector<std::string>(slots_.at(id).members)) {
    const auto it = incidents_.find(member);
    Withdraw(&it->second, now_ns);
    if (!IsFiring(it->second.incident)) incidents_.erase(it);
  }
  return true;
}

// What a message should be after the routing said something new about its members.
void DiscordPlanner::Review(SlotId id, std::int64_t now_ns) {
  const auto it = slots_.find(id);
  if (it == slots_.end() || it->second.members.empty() || it->second.cut) return;
  Slot& slot = it->second;
  SetTimes(incidents_.at(slot.members.front()), &slot);
  const bool may_post = IsBegun(id) && MayPost(slot);
  const core::Severity severity = FoldSeverity(MembersOf(slot));
  if (may_post && !slot.is_fold && severity > slot.announced) {
    Replace(id, Reason::kEscalated, now_ns);
  } else if (may_post && !slot.quiet.empty()) {
    Replace(id, Reason::kUnmuted, now_ns);
  } else if (Quiet(slot) != slot.quiet && !AllResolved(slot)) {
    Touch(&slot, false, now_ns);
  }
}

// Instead of a message that does not come, the earlier one of the same incidents goes on. False: there is none.
bool DiscordPlanner::GoBack(SlotId id, std::int64_t now_ns) {
  const core::Severity announced = slots_.at(id).announced;
  const auto earlier = slots_.find(slots_.at(id).predecessor);
  if (earlier == slots_.end() || earlier->second.successor != id || earlier->second.message_id.empty()) return false;
  MoveMembers(id, earlier->first);
  earlier->second.successor = 0;
  earlier->second.announced = std::max(earlier->second.announced, announced);
  for (auto& [other, slot] : slots_) {
    if (slot.successor != id) continue;
    slot.successor = earlier->first;
    earlier->second.has_predecessors = true;
  }
  Touch(&earlier->second, true, now_ns);
  slots_.erase(id);
  return true;
}

}  // namespace spanwatch::notify
