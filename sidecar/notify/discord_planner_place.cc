// Which message tells about an incident: its own, its group's fold or the receiver's fold.
#include <algorithm>

#include "sidecar/notify/discord_planner.h"

namespace spanwatch::notify {
namespace {

constexpr std::size_t kManyGroups = 1024;

bool IsBudget(const core::Incident& incident) {
  return incident.measure == core::ToString(core::Measure::kTokens) ||
         incident.measure == core::ToString(core::Measure::kCost);
}

}  // namespace

void DiscordPlanner::Place(Tracked* tracked, std::int64_t now_ns) {
  Group* group = GroupOf(*tracked, now_ns);
  const std::int64_t hold_ns = group->hold_ns;
  if (++group->count > options_.group_burst) {
    JoinGroupFold(tracked, group, now_ns);
  } else if (Storming(now_ns)) {
    JoinReceiverFold(tracked, now_ns);
  } else {
    Join(tracked, NewSlot(false, now_ns), now_ns);
  }
  Slot& slot = slots_.at(tracked->slot);
  slot.hold_ns = slot.members.size() == 1 ? hold_ns : std::min(slot.hold_ns, hold_ns);
  SetTimes(*tracked, &slot);
}

void DiscordPlanner::SetTimes(const Tracked& tracked, Slot* slot) {
  slot->group_interval_ns = tracked.direction.group_interval_ns;
  slot->repeat_interval_ns = IsBudget(tracked.incident) ? 0 : tracked.direction.repeat_interval_ns;
}

// Whether a message of that group is out, or about to be, of anything but `but`.
bool DiscordPlanner::IsAlive(const std::string& group_key, const Tracked& but) const {
  return std::any_of(incidents_.begin(), incidents_.end(), [&](const auto& entry) {
    const Tracked& tracked = entry.second;
    return &tracked != &but && tracked.slot != 0 && tracked.incident.state == core::AlertState::kFiring &&
           tracked.direction.group_key == group_key;
  });
}

DiscordPlanner::Group* DiscordPlanner::GroupOf(const Tracked& tracked, std::int64_t now_ns) {
  const Direction& direction = tracked.direction;
  const auto over = [&](const Group& group) {
    return now_ns - group.begin_ns >= std::max(direction.group_interval_ns, direction.group_wait_ns);
  };
  if (groups_.size() >= kManyGroups) {
    std::erase_if(groups_, [&](const auto& entry) { return over(entry.second); });
  }
  if (groups_.size() >= options_.max_incidents) groups_.clear();
  const auto [it, is_new] = groups_.try_emplace(direction.group_key);
  if (is_new || over(it->second)) {
    const bool waits = direction.group_wait_ns > 0 && !IsAlive(direction.group_key, tracked);
    it->second = {now_ns, waits ? now_ns + direction.group_wait_ns : INT64_MIN, 0, 0};
  }
  return &it->second;
}

bool DiscordPlanner::OpenForMembers(const Slot& slot, std::int64_t now_ns) const {
  return slot.is_fold && slot.successor == 0 && now_ns - slot.opened_ns < slot.group_interval_ns;
}

void DiscordPlanner::JoinGroupFold(Tracked* tracked, Group* group, std::int64_t now_ns) {
  const auto it = slots_.find(group->fold);
  if (it != slots_.end() && OpenForMembers(it->second, now_ns)) return Join(tracked, group->fold, now_ns);
  if (Storming(now_ns)) return JoinReceiverFold(tracked, now_ns);
  group->fold = NewSlot(true, now_ns);
  Slot& fold = slots_.at(group->fold);
  fold.group_labels = tracked->direction.group_labels;
  fold.opened_ns = group->begin_ns;
  Join(tracked, group->fold, now_ns);
}

void DiscordPlanner::JoinReceiverFold(Tracked* tracked, std::int64_t now_ns) {
  const auto it = slots_.find(receiver_fold_);
  if (it == slots_.end() || !OpenForMembers(it->second, now_ns)) {
    receiver_fold_ = NewSlot(true, now_ns);
    slots_.at(receiver_fold_).opened_ns = now_ns;
  }
  Join(tracked, receiver_fold_, now_ns);
}

bool DiscordPlanner::Storming(std::int64_t now_ns) {
  if (options_.receiver.storm_messages == 0) return false;
  while (!recent_posts_.empty() && now_ns - recent_posts_.front() >= options_.receiver.storm_per_ns)
    recent_posts_.pop_front();
  return recent_posts_.size() >= options_.receiver.storm_messages;
}

DiscordPlanner::SlotId DiscordPlanner::NewSlot(bool is_fold, std::int64_t now_ns) {
  const SlotId id = ++last_slot_;
  Slot& slot = slots_[id];
  slot.is_fold = is_fold;
  slot.order = ++last_order_;
  slot.due_ns = now_ns;
  slot.waiting_since_ns = now_ns;
  recent_posts_.push_back(now_ns);
  if (recent_posts_.size() > std::max<std::size_t>(options_.receiver.storm_messages, 1)) recent_posts_.pop_front();
  return id;
}

void DiscordPlanner::Join(Tracked* tracked, SlotId id, std::int64_t now_ns) {
  tracked->slot = id;
  tracked->joined = ++last_joined_;
  Slot& slot = slots_.at(id);
  slot.members.push_back(tracked->incident.id);
  Show(id, *tracked, false, now_ns);
}

void DiscordPlanner::MoveMembers(SlotId from, SlotId to) {
  Slot& source = slots_.at(from);
  Slot& target = slots_.at(to);
  for (const std::string& member : source.members) {
    if (const auto it = incidents_.find(member); it != incidents_.end()) it->second.slot = to;
  }
  target.members = std::move(source.members);
  source.members.clear();
  for (auto& [key, group] : groups_) {
    if (group.fold == from) group.fold = to;
  }
  if (receiver_fold_ == from) receiver_fold_ = to;
}

// The old message is left as it is until the new one is posted, then cut to a link.
void DiscordPlanner::Replace(SlotId old_id, Reason reason, std::int64_t now_ns) {
  Slot& old_slot = slots_.at(old_id);
  if (!old_slot.is_fold && Storming(now_ns)) {
    Tracked& tracked = incidents_.at(old_slot.members.front());
    old_slot.members.clear();
    JoinReceiverFold(&tracked, now_ns);
    old_slot.successor = tracked.slot;
  } else {
    const SlotId id = NewSlot(old_slot.is_fold, now_ns);
    Slot& slot = slots_.at(id);
    slot.group_labels = old_slot.group_labels;
    slot.opened_ns = old_slot.opened_ns;
    slot.group_interval_ns = old_slot.group_interval_ns;
    slot.repeat_interval_ns = old_slot.repeat_interval_ns;
    slot.fallback = old_slot.fallback;
    slot.reason = reason;
    slot.predecessor = old_id;
    MoveMembers(old_id, id);
    old_slot.successor = id;
  }
  slots_.at(old_slot.successor).has_predecessors = true;
  old_slot.reason = reason;
  old_slot.shown_revision = old_slot.revision;
}

bool DiscordPlanner::MakeRoom(bool for_message) {
  if (incidents_.size() < options_.max_incidents) return true;
  const auto untold = std::find_if(incidents_.begin(), incidents_.end(), [](const auto& entry) {
    return entry.second.slot == 0 && !entry.second.direction.routed;
  });
  if (untold != incidents_.end()) {
    incidents_.erase(untold);
    return true;
  }
  // What is over and was never posted; for what is to be told also what is over and waits for its last edit.
  for (const bool posted : {false, true}) {
    if (posted && !for_message) break;
    const auto it = std::find_if(slots_.begin(), slots_.end(), [&](const auto& entry) {
      const Slot& slot = entry.second;
      const bool idle = !in_flight_ || in_flight_->slot != entry.first;
      return idle && slot.posted == posted && slot.successor == 0 && !slot.members.empty() && AllResolved(slot);
    });
    if (it == slots_.end()) continue;
    if (it->second.Dirty()) counters_.dropped += it->second.members.size();
    Retire(it->first);
    return true;
  }
  return false;
}

}  // namespace spanwatch::notify
