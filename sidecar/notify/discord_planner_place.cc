// Which message tells about an incident: its own, its group's fold or the receiver's fold.
#include <algorithm>

#include "sidecar/notify/discord_planner.h"

namespace spanwatch::notify {
namespace {

constexpr std::size_t kManyGroups = 1024;

std::string LabelOf(const core::Incident& incident, std::string_view name) {
  for (const auto& label : incident.labels) {
    if (label.name == name) return label.value;
  }
  return "";
}

}  // namespace

void DiscordPlanner::Place(Tracked* tracked, std::int64_t now_ns) {
  const Direction direction = DirectionOf(tracked->incident);
  Group* group = GroupOf(direction, now_ns);
  if (++group->count > options_.group_burst) {
    JoinGroupFold(tracked, group, now_ns);
  } else if (Storming(now_ns)) {
    JoinReceiverFold(tracked, now_ns);
  } else {
    Join(tracked, NewSlot(false, now_ns), now_ns);
  }
  SetTimes(direction, &slots_.at(tracked->slot));
}

DiscordPlanner::Group* DiscordPlanner::GroupOf(const Direction& direction, std::int64_t now_ns) {
  const auto over = [&](const Group& group) { return now_ns - group.begin_ns >= direction.group_interval_ns; };
  if (groups_.size() >= kManyGroups) {
    std::erase_if(groups_, [&](const auto& entry) { return over(entry.second); });
  }
  if (groups_.size() >= options_.max_incidents) groups_.clear();
  const auto [it, is_new] = groups_.try_emplace(direction.group_key);
  if (is_new || over(it->second)) it->second = {now_ns, 0, 0};
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
  fold.alertname = tracked->incident.alertname;
  fold.service = LabelOf(tracked->incident, "service");
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
  Show(id, tracked->incident, false, now_ns);
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
    slot.alertname = old_slot.alertname;
    slot.service = old_slot.service;
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

bool DiscordPlanner::MakeRoom() {
  if (incidents_.size() < options_.max_incidents) return true;
  const auto it = std::find_if(slots_.begin(), slots_.end(), [&](const auto& entry) {
    const Slot& slot = entry.second;
    const bool idle = !in_flight_ || in_flight_->slot != entry.first;
    return idle && !slot.posted && slot.successor == 0 && !slot.members.empty() && AllResolved(slot);
  });
  if (it == slots_.end()) return false;
  counters_.dropped += it->second.members.size();
  Retire(it->first);
  return true;
}

}  // namespace spanwatch::notify
