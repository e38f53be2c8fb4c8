// What a planner needs to go on after a restart as if it had never died, as bytes; and what changes for it by a
// restart.
//
// Kept: the incidents, their messages (ids, what they show, what they announced, their links, whether a post was under
// way). Begun afresh, because at worst a message comes some seconds sooner: back-off, Discord's buckets, the storm's
// and the groups' windows, the pace of growth edits. Times are kept as wall clock; one that lies in the future is now.
#include <algorithm>
#include <utility>

#include "sidecar/core/hash.h"
#include "sidecar/core/incident_codec.h"
#include "sidecar/notify/discord_planner.h"

namespace spanwatch::notify {
namespace {

constexpr std::uint64_t kVersion = 1;      // of incidents
constexpr std::uint64_t kSlotVersion = 2;  // 1: alertname and service instead of labels, nothing after `under_way`
constexpr std::uint64_t kMaxLabels = 64;

}  // namespace

void DiscordPlanner::Encode(const Slot& slot, bool under_way, std::string* out) const {
  core::CodecWriter writer(out);
  writer.U64(kSlotVersion).Bool(slot.is_fold).U64(std::min(slot.group_labels.size(), kMaxLabels));
  for (std::size_t i = 0; i < std::min(slot.group_labels.size(), kMaxLabels); ++i) {
    writer.Text(slot.group_labels[i].name).Text(slot.group_labels[i].value);
  }
  writer.I64(slot.opened_ns + to_wall_ns_).U64(static_cast<std::uint64_t>(slot.reason));
  writer.Text(slot.message_id).Text(slot.channel_id).Bool(slot.posted).Bool(slot.blind);
  writer.U64(static_cast<std::uint64_t>(slot.reposts)).U64(static_cast<std::uint64_t>(slot.announced));
  writer.Bool(slot.Dirty()).Bool(slot.Urgent()).U64(slot.shown_hash).U64(slot.order);
  writer.I64(slot.waiting_since_ns + to_wall_ns_).I64(slot.posted_ns + to_wall_ns_);
  writer.Bool(slot.fallback).Bool(slot.cut).Bool(slot.has_predecessors).U64(slot.predecessor).U64(slot.successor);
  writer.Text(slot.earlier_link).Text(slot.newer_link).Bool(under_way);
  writer.Text(slot.quiet).U64(slot.edits);
}

bool DiscordPlanner::Decode(const std::string& body, std::int64_t now_ns, Slot* slot, bool* under_way) const {
  core::CodecReader reader(body);
  const auto time = [&] { return std::min(reader.I64() - to_wall_ns_, now_ns); };
  const std::uint64_t version = reader.U64();
  if (version != 1 && version != kSlotVersion) return false;
  slot->is_fold = reader.Bool();
  if (version == 1) {
    for (const char* name : {"alertname", "service"}) slot->group_labels.push_back({name, std::string(reader.Text())});
  } else {
    for (std::uint64_t n = reader.Below(kMaxLabels + 1); n > 0; --n) {
      std::string name(reader.Text());
      slot->group_labels.push_back({std::move(name), std::string(reader.Text())});
    }
  }
  slot->opened_ns = time();
  slot->reason = static_cast<Reason>(reader.Below(4));
  slot->message_id = reader.Text();
  slot->channel_id = reader.Text();
  slot->posted = reader.Bool();
  slot->blind = reader.Bool();
  slot->reposts = static_cast<int>(reader.Below(1000));
  slot->announced = static_cast<core::Severity>(reader.Below(3));
  const bool dirty = reader.Bool();
  const bool urgent = reader.Bool();
  slot->shown_hash = reader.U64();
  slot->order = reader.U64();
  slot->waiting_since_ns = time();
  slot->posted_ns = slot->sent_ns = time();
  slot->fallback = reader.Bool();
  slot->cut = reader.Bool();
  slot->has_predecessors = reader.Bool();
  slot->predecessor = reader.U64();
  slot->successor = reader.U64();
  slot->earlier_link = reader.Text();
  slot->newer_link = reader.Text();
  *under_way = reader.Bool();
  if (version == kSlotVersion) {
    slot->quiet = reader.Text();
    slot->edits = reader.U64();
  }
  slot->shown_revision = 1;
  slot->revision = dirty ? 2 : 1;
  slot->urgent_revision = urgent ? 2 : 1;
  slot->due_ns = now_ns;
  return reader.AtEnd();
}

Changes DiscordPlanner::TakeChanges() {
  Changes changes;
  changes.reset = !std::exchange(saved_is_valid_, true);
  std::string body;
  for (const auto& [id, slot] : slots_) {
    body.clear();
    Encode(slot, in_flight_ && in_flight_->slot == id && in_flight_->method == Method::kPost, &body);
    const std::uint64_t hash = core::Hasher().Add(std::string_view(body)).Digest64();
    const auto [it, is_new] = saved_slots_.try_emplace(id, hash);
    if (!is_new && std::exchange(it->second, hash) == hash) continue;
    changes.slots.push_back({id, body});
  }
  for (auto it = saved_slots_.begin(); it != saved_slots_.end();) {
    if (!slots_.contains(it->first)) changes.removed_slots.push_back(it->first);
    it = slots_.contains(it->first) ? std::next(it) : saved_slots_.erase(it);
  }
  for (const auto& [id, tracked] : incidents_) {
    const SavedIncident now{tracked.version, tracked.slot, tracked.joined};
    const auto [it, is_new] = saved_incidents_.try_emplace(id, now);
    if (!is_new && std::exchange(it->second, now) == now) continue;
    body.clear();
    core::CodecWriter writer(&body);
    writer.U64(kVersion).U64(tracked.number).Bool(tracked.unwatched);
    core::Save(tracked.incident, &writer);
    changes.incidents.push_back({id, tracked.slot, tracked.joined, body});
  }
  for (auto it = saved_incidents_.begin(); it != saved_incidents_.end();) {
    if (!incidents_.contains(it->first)) changes.removed_incidents.push_back(it->first);
    it = incidents_.contains(it->first) ? std::next(it) : saved_incidents_.erase(it);
  }
  return changes;
}

void DiscordPlanner::ForgetSaved() {
  saved_is_valid_ = false;
  saved_slots_.clear();
  saved_incidents_.clear();
}

std::size_t DiscordPlanner::Load(const StoredReceiver& stored, std::int64_t now_ns, std::int64_t wall_ns) {
  to_wall_ns_ = wall_ns - now_ns;
  std::size_t unreadable = 0;
  for (const StoredSlot& row : stored.slots) {
    Slot slot;
    bool under_way = false;
    if (row.id == 0 || row.id >= UINT64_MAX / 2 || !Decode(row.body, now_ns, &slot, &under_way)) {
      ++unreadable;
      continue;
    }
    // It may have come through without our hearing of it.
    if (under_way) ++counters_.possible_duplicates;
    last_slot_ = std::max(last_slot_, row.id);
    last_order_ = std::max(last_order_, slot.order);
    slots_.emplace(row.id, std::move(slot));
  }
  std::vector<const StoredIncident*> rows;
  for (const StoredIncident& row : stored.incidents) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return a->joined < b->joined; });
  for (const StoredIncident* row : rows) {
    core::CodecReader reader(row->body);
    Tracked tracked;
    const bool known_version = reader.U64() == kVersion;
    tracked.number = reader.U64();
    tracked.unwatched = reader.Bool();
    if (!known_version || !core::Load(&reader, &tracked.incident) || tracked.incident.id != row->id) {
      ++unreadable;
      continue;
    }
    tracked.inherited = true;
    last_joined_ = std::max(last_joined_, row->joined);
    const auto slot = slots_.find(row->slot);
    tracked.joined = row->joined;
    // Else nothing told of it, or what did was lost: SetTarget asks the routing about it.
    if (slot != slots_.end() && !slot->second.cut && slot->second.successor == 0) {
      tracked.slot = row->slot;
      slot->second.members.push_back(row->id);
    }
    incidents_.emplace(row->id, std::move(tracked));
  }
  DropLooseSlots();
  ForgetSaved();
  return unreadable;
}

// Messages that lost what they belong to; only a damaged row can cause that.
void DiscordPlanner::DropLooseSlots() {
  std::erase_if(slots_, [&](const auto& entry) {
    const Slot& slot = entry.second;
    if (slot.cut) return slot.message_id.empty();
    if (slot.successor != 0) return !slots_.contains(slot.successor);
    return slot.members.empty();
  });
}

void DiscordPlanner::Reconcile(const std::vector<core::Incident>& living, bool tell_living, std::int64_t now_ns) {
  std::map<std::string, const core::Incident*> by_id;
  for (const core::Incident& incident : living) by_id.emplace(incident.id, &incident);
  std::vector<std::string> firing;
  for (const auto& [id, tracked] : incidents_) {
    if (tracked.inherited && tracked.incident.state != core::AlertState::kResolved) firing.push_back(id);
  }
  for (const std::string& id : firing) {
    Tracked& tracked = incidents_.at(id);
    const auto it = by_id.find(id);
    if (it != by_id.end() && it->second->state != core::AlertState::kResolved) {
      if (tracked.slot == 0) tracked.incident = *it->second;
      continue;
    }
    if (it != by_id.end()) {
      tracked.incident = *it->second;
    } else {
      tracked.incident.state = core::AlertState::kResolved;
      tracked.unwatched = true;
    }
    ++tracked.version;
    Changed(id, now_ns);
  }
  if (!tell_living) return;
  for (const core::Incident& incident : living) {
    if (incident.state != core::AlertState::kFiring || incidents_.contains(incident.id)) continue;
    core::Transition transition;
    transition.kind = core::TransitionKind::kFiring;
    transition.at_ns = incident.fired_at_ns;
    transition.incident = incident;
    Add(transition, now_ns);
  }
}

}  // namespace spanwatch::notify
