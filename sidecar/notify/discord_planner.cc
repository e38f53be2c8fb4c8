#include "sidecar/notify/discord_planner.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace spanwatch::notify {
namespace {

using core::AlertState;

bool IsResolved(const core::Incident& incident) { return incident.state == AlertState::kResolved; }

// The number in "<incident id>/3/escalated"; 0 if there is none.
std::uint64_t NumberOf(const core::Transition& transition) {
  const std::string& id = transition.id;
  std::uint64_t number = 0;
  const std::size_t begin = id.find('/');
  if (begin != std::string::npos) std::from_chars(id.data() + begin + 1, id.data() + id.size(), number);
  return number;
}

}  // namespace

void DiscordPlanner::SetTarget(bool usable, bool same_target, std::int64_t now_ns) {
  usable_ = usable;
  Redirect(now_ns);
  given_up_ = false;
  in_flight_.reset();
  failures_ = 0;
  backing_off_until_ns_ = INT64_MIN;
  last_error_.clear();
  if (same_target) return;
  limiter_ = {};
  guild_id_.clear();
  guild_asked_ns_.reset();
  slots_.clear();
  groups_.clear();
  recent_posts_.clear();
  receiver_fold_ = 0;
  std::vector<Tracked*> firing;
  for (auto it = incidents_.begin(); it != incidents_.end();) {
    if (IsResolved(it->second.incident)) {
      it = incidents_.erase(it);
    } else {
      firing.push_back(&it->second);
      ++it;
    }
  }
  std::stable_sort(firing.begin(), firing.end(), [](const Tracked* a, const Tracked* b) {
    return a->incident.fired_at_ns < b->incident.fired_at_ns;
  });
  for (Tracked* tracked : firing) Place(tracked, now_ns);
}

void DiscordPlanner::Add(const core::Transition& transition, std::int64_t now_ns, bool inherited) {
  const core::Incident& incident = transition.incident;
  if (incident.state != AlertState::kFiring && incident.state != AlertState::kResolved) return;
  const std::uint64_t number = NumberOf(transition);
  auto it = incidents_.find(incident.id);
  if (it == incidents_.end()) {
    if (!MakeRoom()) {
      ++counters_.dropped;
      return;
    }
    it = incidents_.emplace(incident.id, Tracked{}).first;
    it->second.incident = incident;
    it->second.number = number;
    it->second.inherited = inherited;
    Place(&it->second, now_ns);
    return RetireIfUntold(it->second.slot);
  }
  Tracked& tracked = it->second;
  if (number < tracked.number) return;  // a repeat of what was overtaken
  tracked.incident = incident;
  tracked.number = number;
  tracked.unwatched = false;
  tracked.inherited = inherited;
  ++tracked.version;
  // After a fall, the next rise is news again.
  Slot& slot = slots_.at(tracked.slot);
  if (!slot.is_fold && transition.kind == core::TransitionKind::kDeescalated) {
    slot.announced = std::min(slot.announced, incident.severity);
  }
  Changed(&tracked, now_ns);
}

void DiscordPlanner::Changed(Tracked* tracked, std::int64_t now_ns) {
  const SlotId id = tracked->slot;
  Show(id, tracked->incident, AllResolved(slots_.at(id)), now_ns);
  RetireIfUntold(tracked->slot);
}

void DiscordPlanner::Redirect(std::int64_t) {
  for (auto& [id, slot] : slots_) {
    const std::vector<const core::Incident*> members = MembersOf(slot);
    if (!members.empty()) SetTimes(DirectionOf(*members.front()), &slot);
  }
}

void DiscordPlanner::SetTimes(const Direction& direction, Slot* slot) {
  slot->group_interval_ns = direction.group_interval_ns;
  slot->repeat_interval_ns = direction.repeat_interval_ns;
}

std::vector<std::pair<std::string, core::Delivery>> DiscordPlanner::Explain(std::size_t limit, std::int64_t,
                                                                            std::int64_t) const {
  std::vector<std::pair<std::string, core::Delivery>> all;
  for (const auto& [id, tracked] : incidents_) {
    if (all.size() >= limit) break;
    const Slot& slot = slots_.at(tracked.slot);
    core::Delivery delivery;
    delivery.state = slot.is_fold ? "folded" : slot.posted ? "posted" : "waiting";
    all.emplace_back(id, std::move(delivery));
  }
  return all;
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

// Nobody is to be told of what was over before there was anybody to tell.
void DiscordPlanner::RetireIfUntold(SlotId id) {
  if ((usable_ && !given_up_) || !AllResolved(slots_.at(id))) return;
  if (given_up_) ++counters_.failed;
  Retire(id);
}

void DiscordPlanner::Show(SlotId id, const core::Incident& changed, bool urgent, std::int64_t now_ns) {
  Slot& slot = slots_.at(id);
  const bool begun = slot.posted || (in_flight_ && in_flight_->slot == id && in_flight_->method == Method::kPost);
  if (begun && !IsResolved(changed) && changed.severity > slot.announced) {
    Replace(id, Reason::kEscalated, now_ns);
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
         now_ns - slot.posted_ns >= slot.repeat_interval_ns && !AllResolved(slot);
}

void DiscordPlanner::Sweep(std::int64_t now_ns) {
  std::vector<SlotId> ids;
  for (const auto& [id, slot] : slots_) {
    const bool over = slot.is_fold && !slot.Dirty() && !OpenForMembers(slot, now_ns);
    const bool too_old = slot.Dirty() && failures_ > 0 && now_ns - slot.waiting_since_ns >= options_.max_age_ns;
    if (over || too_old || RepeatDue(slot, now_ns)) ids.push_back(id);
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
    return entry.second.Dirty() && (!urgent_only || entry.second.Urgent());
  }));
}

std::int64_t DiscordPlanner::TakeGlobalBlock() { return std::exchange(global_block_ns_, 0); }

}  // namespace spanwatch::notify
