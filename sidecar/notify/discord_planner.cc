#include "sidecar/notify/discord_planner.h"

#include <algorithm>
#include <utility>

namespace spanwatch::notify {
namespace {

using core::AlertState;

bool IsResolved(const core::Incident& incident) { return incident.state == AlertState::kResolved; }

}  // namespace

void DiscordPlanner::SetTarget(bool usable, bool same_target, std::int64_t now_ns) {
  usable_ = usable;
  given_up_ = false;
  in_flight_.reset();
  failures_ = 0;
  limited_since_ns_.reset();
  backing_off_until_ns_ = INT64_MIN;
  last_error_.clear();
  if (same_target) return Redirect(now_ns);
  limiter_ = {};
  guild_id_.clear();
  guild_asked_ns_.reset();
  slots_.clear();
  groups_.clear();
  recent_posts_.clear();
  receiver_fold_ = 0;
  std::erase_if(incidents_, [](const auto& entry) { return IsResolved(entry.second.incident); });
  for (auto& [id, tracked] : incidents_) tracked.slot = 0;
  Redirect(now_ns);
}

void DiscordPlanner::Add(const core::Transition& transition, std::int64_t now_ns, bool inherited) {
  const core::Incident& incident = transition.incident;
  if (incident.state != AlertState::kFiring && incident.state != AlertState::kResolved) return;
  const std::uint64_t number = NumberOf(transition);
  auto it = incidents_.find(incident.id);
  if (it == incidents_.end()) {
    Tracked tracked;
    tracked.incident = incident;
    tracked.direction = DirectionOf(incident);
    tracked.number = number;
    tracked.inherited = inherited;
    if (!MayPost(tracked) && IsResolved(incident)) return;
    if (!MakeRoom(MayPost(tracked))) {
      counters_.dropped += MayPost(tracked) ? 1 : 0;
      return;
    }
    it = incidents_.emplace(incident.id, std::move(tracked)).first;
    if (!MayPost(it->second)) return;
    Place(&it->second, now_ns);
    return RetireIfUntold(it->second.slot, now_ns);
  }
  Tracked& tracked = it->second;
  if (number < tracked.number) return;  // a repeat of what was overtaken
  tracked.incident = incident;
  tracked.number = number;
  tracked.unwatched = false;
  tracked.inherited = inherited;
  // What is not told is not written anew with each change of its values.
  if (tracked.slot != 0 || transition.kind != core::TransitionKind::kUpdated) ++tracked.version;
  // After a fall, the next rise is news again.
  const auto slot = slots_.find(tracked.slot);
  if (slot != slots_.end() && !slot->second.is_fold && transition.kind == core::TransitionKind::kDeescalated) {
    slot->second.announced = std::min(slot->second.announced, incident.severity);
  }
  Changed(incident.id, now_ns);
}

void DiscordPlanner::Changed(const std::string& incident, std::int64_t now_ns) {
  const auto it = incidents_.find(incident);
  Tracked& tracked = it->second;
  tracked.direction = DirectionOf(tracked.incident);
  if (tracked.slot != 0 && !MayPost(tracked) && !IsBegun(tracked.slot)) Withdraw(&tracked, now_ns);
  if (tracked.slot == 0) {
    if (IsResolved(tracked.incident)) {
      incidents_.erase(it);
    } else if (MayPost(tracked)) {
      Place(&tracked, now_ns);
    }
    return;
  }
  const SlotId id = tracked.slot;
  SetTimes(tracked, &slots_.at(id));
  Show(id, tracked, AllResolved(slots_.at(id)), now_ns);
  RetireIfUntold(tracked.slot, now_ns);
}

void DiscordPlanner::Refresh(const std::string& incident, std::int64_t now_ns) {
  const auto tracked = incidents_.find(incident);
  if (tracked == incidents_.end()) return;
  const auto slot = slots_.find(tracked->second.slot);
  // A fold shows no path; what was never posted is rendered when it is.
  if (slot == slots_.end() || slot->second.is_fold || slot->second.cut) return;
  const bool under_way = in_flight_ && in_flight_->slot == slot->first;
  if (slot->second.posted || under_way) Touch(&slot->second, false, now_ns);
}

// Nobody is to be told of what was over before there was anybody to tell, or before it was told at all if the end of it
// is not wanted.
void DiscordPlanner::RetireIfUntold(SlotId id, std::int64_t now_ns) {
  if (!AllResolved(slots_.at(id))) return;
  if (usable_ && !given_up_) {
    if (options_.receiver.send_resolved || IsBegun(id)) return;
    if (!slots_.at(id).has_predecessors) return Retire(id);
    GoBack(id, now_ns);
    return;
  }
  if (given_up_) ++counters_.failed;
  Retire(id);
}

void DiscordPlanner::Show(SlotId id, const Tracked& changed, bool urgent, std::int64_t now_ns) {
  Slot& slot = slots_.at(id);
  const bool may_post = IsBegun(id) && !IsResolved(changed.incident) && MayPost(changed);
  if (may_post && changed.incident.severity > slot.announced) {
    Replace(id, Reason::kEscalated, now_ns);
  } else if (may_post && !slot.quiet.empty()) {
    Replace(id, Reason::kUnmuted, now_ns);
  } else {
    Touch(&slot, urgent, now_ns);
  }
}

void DiscordPlanner::Touch(Slot* slot, bool urgent, std::int64_t now_ns) {
  if (slot->blind && !urgent) return;
  const bool waited = slot->Dirty();
  ++slot->revision;
  if (urgent) slot->urgent_revision = slot->revision;
  if (!waited) {
    slot->order = ++last_order_;
    slot->waiting_since_ns = now_ns;
  }
  if (urgent || !slot->posted) {
    slot->due_ns = now_ns;
  } else if (!waited) {
    slot->due_ns = std::max(now_ns, slot->sent_ns + options_.receiver.growth_interval_ns);
  }
}

bool DiscordPlanner::RepeatDue(const Slot& slot, std::int64_t now_ns) const {
  return slot.repeat_interval_ns > 0 && slot.posted && !slot.is_fold && slot.successor == 0 &&
         slot.posted_ns <= now_ns - slot.repeat_interval_ns && MayPost(slot);
}

// It waits because nothing comes through, be it for failures or because Discord only ever asks to wait.
bool DiscordPlanner::IsTooOld(const Slot& slot, std::int64_t now_ns) const {
  const std::int64_t since_ns =
      failures_ > 0 ? slot.waiting_since_ns : std::max(slot.waiting_since_ns, limited_since_ns_.value_or(now_ns));
  return slot.Dirty() && now_ns - since_ns >= options_.max_age_ns;
}

void DiscordPlanner::Sweep(std::int64_t now_ns) {
  std::vector<SlotId> ids;
  for (const auto& [id, slot] : slots_) {
    const bool over = slot.is_fold && !slot.Dirty() && !OpenForMembers(slot, now_ns);
    if (over || IsTooOld(slot, now_ns) || RepeatDue(slot, now_ns)) ids.push_back(id);
  }
  for (const SlotId id : ids) {
    const auto it = slots_.find(id);
    if (it == slots_.end()) continue;
    Slot& slot = it->second;
    if (!slot.Dirty() && slot.is_fold) {
      RetireIfOver(id, now_ns);
    } else if (RepeatDue(slot, now_ns)) {
      // A repeat is no news: it waits while the receiver is flooded.
      if (Storming(now_ns)) {
        slot.posted_ns += options_.receiver.storm_per_ns;
      } else {
        Replace(id, Reason::kRepeated, now_ns);
      }
    } else if (slot.posted || AllResolved(slot)) {
      // What fires and was never told stays due, however old.
      Fail(id, now_ns);
    }
  }
}

bool DiscordPlanner::AllResolved(const Slot& slot) const {
  return std::all_of(slot.members.begin(), slot.members.end(), [&](const std::string& member) {
    const auto it = incidents_.find(member);
    return it == incidents_.end() || IsResolved(it->second.incident);
  });
}

std::vector<const core::Incident*> DiscordPlanner::MembersOf(const Slot& slot) const {
  std::vector<const core::Incident*> members;
  members.reserve(slot.members.size());
  for (const std::string& member : slot.members) {
    if (const auto it = incidents_.find(member); it != incidents_.end()) members.push_back(&it->second.incident);
  }
  return members;
}

void DiscordPlanner::Retire(SlotId id) {
  const auto it = slots_.find(id);
  if (it == slots_.end()) return;
  for (const std::string& member : it->second.members) incidents_.erase(member);
  const bool has_predecessors = it->second.has_predecessors;
  slots_.erase(it);
  if (has_predecessors) {
    std::erase_if(slots_, [&](const auto& entry) { return entry.second.successor == id && !entry.second.cut; });
  }
}

void DiscordPlanner::RetireIfOver(SlotId id, std::int64_t now_ns) {
  const auto it = slots_.find(id);
  if (it == slots_.end()) return;
  const Slot& slot = it->second;
  if (slot.Dirty() || slot.successor != 0 || OpenForMembers(slot, now_ns) || !AllResolved(slot)) return;
  Retire(id);
}

std::size_t DiscordPlanner::Waiting(bool urgent_only) const {
  if (!usable_) return 0;
  return static_cast<std::size_t>(std::count_if(slots_.begin(), slots_.end(), [&](const auto& entry) {
    return entry.second.Waits() && (!urgent_only || entry.second.Urgent());
  }));
}

std::int64_t DiscordPlanner::TakeGlobalBlock() { return std::exchange(global_block_ns_, 0); }

}  // namespace spanwatch::notify
