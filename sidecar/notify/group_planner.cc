#include "sidecar/notify/group_planner.h"

#include <algorithm>
#include <utility>

#include "sidecar/core/codec.h"

namespace spanwatch::notify {
namespace {

constexpr std::uint64_t kVersion = 100;  // no other planner's rows have it

std::int64_t Later(std::int64_t now_ns, std::int64_t wait_ns) {
  return wait_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + wait_ns;
}

// A budget speaks once for each threshold.
bool Repeats(const core::Incident& incident) {
  return incident.measure != core::ToString(core::Measure::kTokens) &&
         incident.measure != core::ToString(core::Measure::kCost);
}

}  // namespace

// What is muted now is told anew when the muting ends.
void GroupPlanner::Quieten(Tracked* tracked) {
  if (!tracked->direction.muted) return;
  for (Level& level : tracked->levels) {
    if (!level.Fires() || level.told != Told::kFiring) continue;
    level.told = Told::kQuiet;
    ++tracked->version;
  }
}

void GroupPlanner::OnChange(Tracked* tracked, std::int64_t now_ns) {
  Quieten(tracked);
  const Direction& direction = tracked->direction;
  const std::string key = IsJson() ? tracked->incident.id : direction.group_key;
  const auto it = groups_.find(tracked->group);
  const bool begun =
      std::any_of(tracked->levels.begin(), tracked->levels.end(), [](const Level& l) { return l.Begun(); });
  if (direction.routed && (it == groups_.end() || it->second.key != key)) {
    Leave(tracked);
    Join(tracked, key, now_ns);
  } else if (it != groups_.end()) {
    it->second.members.insert(tracked->incident.id);
    SetTimes(direction, &it->second);
  } else if (begun) {  // told once, and its group is gone: its end is still told
    Join(tracked, key, now_ns);
  } else if (!tracked->Fires()) {
    const std::string id = tracked->incident.id;
    Forget(id, [](const Tracked&, const Level&) { return true; });
    return;
  }
  const auto group = groups_.find(tracked->group);
  if (group == groups_.end()) return;
  if (IsJson() && !group->second.pending) group->second.flush_ns = now_ns;
  if (!group->second.pending && group->second.flush_ns <= now_ns) MarkDue(tracked);
}

// It is told whatever becomes of it.
void GroupPlanner::MarkDue(Tracked* tracked) {
  for (Level& level : tracked->levels) {
    if (level.told != Told::kNone || !level.Fires() || !tracked->MayFire(level)) continue;
    level.told = Told::kDue;
    ++tracked->version;
  }
}

void GroupPlanner::OnForget(const Tracked& tracked) {
  const auto it = groups_.find(tracked.group);
  if (it != groups_.end()) it->second.members.erase(tracked.incident.id);
}

void GroupPlanner::OnNewTarget(std::int64_t) {
  groups_.clear();
  by_key_.clear();
  under_way_ = 0;
}

void GroupPlanner::SetTimes(const Direction& direction, Group* group) {
  if (!direction.routed) return;
  group->interval_ns = direction.group_interval_ns;
  group->repeat_ns = direction.repeat_interval_ns;
}

void GroupPlanner::Leave(Tracked* tracked) {
  const GroupId id = std::exchange(tracked->group, 0);
  const auto it = groups_.find(id);
  if (it == groups_.end()) return;
  it->second.members.erase(tracked->incident.id);
  EraseIfEmpty(id);
}

void GroupPlanner::Join(Tracked* tracked, const std::string& key, std::int64_t now_ns) {
  const Direction& direction = tracked->direction;
  const auto [it, is_new] = by_key_.try_emplace(key, last_group_ + 1);
  if (is_new) {
    Group& group = groups_[++last_group_];
    group.key = key;
    group.labels = direction.group_labels;
    group.flush_ns = IsJson() ? now_ns : Later(now_ns, direction.group_wait_ns);
  }
  Group& group = groups_.at(it->second);
  SetTimes(direction, &group);
  group.members.insert(tracked->incident.id);
  tracked->group = it->second;
  ++tracked->version;
}

void GroupPlanner::EraseIfEmpty(GroupId id) {
  const auto it = groups_.find(id);
  if (it == groups_.end() || !it->second.members.empty() || under_way_ == id) return;
  by_key_.erase(it->second.key);
  groups_.erase(it);
}

// The end of what was never told is told too if the group was told of others, as Alertmanager does. In the format json
// a group is one incident, and what was decided is told even if it is over by then.
bool GroupPlanner::TellsEnd(const Group& group, const Level& level) const {
  if (level.Fires() || level.told == Told::kResolved || !options_.receiver.send_resolved) return false;
  return level.Begun() || group.sent > 0 || IsJson();
}

GroupPlanner::Reason GroupPlanner::Look(const Group& group, std::int64_t now_ns) const {
  bool fires = false, news = false, ended = false, again = false;
  for (const std::string& id : group.members) {
    const Tracked& tracked = incidents_.at(id);
    for (const Level& level : tracked.levels) {
      if (level.Fires() && tracked.MayFire(level)) {
        fires = true;
        again = again || Repeats(tracked.incident);
        news = news || level.told != Told::kFiring;
      } else if (TellsEnd(group, level) && (level.Begun() || !tracked.direction.muted)) {
        ended = true;
      }
    }
  }
  if (news) return group.sent == 0 ? Reason::kFirst : Reason::kNewAlerts;
  if (ended) return fires ? Reason::kSomeResolved : Reason::kAllResolved;
  const bool repeats = again && group.repeat_ns > 0 && group.sent > 0;
  return repeats && now_ns >= Later(group.sent_ns, group.repeat_ns) ? Reason::kRepeat : Reason::kNothing;
}

// Its time has come.
void GroupPlanner::Flush(GroupId id, std::int64_t now_ns) {
  Group& group = groups_.at(id);
  group.flush_ns = IsJson() ? INT64_MAX : Later(now_ns, std::max<std::int64_t>(group.interval_ns, 1));
  for (const std::string& member : group.members) Quieten(&incidents_.at(member));
  if (Look(group, now_ns) == Reason::kNothing) {
    const bool told = IsJson() && group.repeat_ns > 0 && group.sent > 0;
    const std::int64_t again_ns = told ? Later(group.sent_ns, group.repeat_ns) : INT64_MIN;
    // Past that nothing repeats it (a budget, a muted one): then the next change is what it waits for.
    if (again_ns > now_ns) group.flush_ns = again_ns;
    return Clean(id);
  }
  if (!std::exchange(group.pending, true)) {
    group.pending_since_ns = now_ns;
    group.order = ++last_order_;
  }
  for (const std::string& member : group.members) MarkDue(&incidents_.at(member));
}

// Forgets what is over and need not be told.
void GroupPlanner::Clean(GroupId id) {
  const auto it = groups_.find(id);
  if (it == groups_.end()) return;
  const std::set<std::string> members = it->second.members;
  for (const std::string& member : members) {
    Forget(member, [&](const Tracked&, const Level& level) { return !level.Fires() && !level.Begun(); });
  }
  if (!options_.receiver.send_resolved) {
    for (const std::string& member : members) {
      Forget(member, [](const Tracked&, const Level& level) { return !level.Fires(); });
    }
  }
  EraseIfEmpty(id);
}

// Gives up ends that could not be told for too long; what fires is told, however old.
void GroupPlanner::Expire(const Group& group, std::int64_t now_ns) {
  if (now_ns - group.pending_since_ns < options_.max_age_ns) return;
  bool given_up = false;
  for (const std::string& member : std::set<std::string>(group.members)) {
    Forget(member, [&](const Tracked& tracked, const Level& level) {
      if (!IsTooOld(tracked, level, now_ns)) return false;
      given_up = given_up || TellsEnd(group, level);
      return true;
    });
  }
  counters_.failed += given_up ? 1 : 0;
}

std::optional<std::string> GroupPlanner::Compose(std::int64_t now_ns, std::vector<Sent>* sent) {
  std::vector<GroupId> due;
  for (const auto& [id, group] : groups_) {
    if (!group.pending && group.flush_ns <= now_ns) due.push_back(id);
  }
  for (const GroupId id : due) Flush(id, now_ns);
  while (true) {
    auto best = groups_.end();
    for (auto it = groups_.begin(); it != groups_.end(); ++it) {
      if (it->second.pending && (best == groups_.end() || it->second.order < best->second.order)) best = it;
    }
    if (best == groups_.end()) return std::nullopt;
    const auto& [id, group] = *best;
    Expire(group, now_ns);
    if (Look(group, now_ns) != Reason::kNothing) {
      under_way_ = id;
      return IsJson() ? RenderChange(group, sent) : Render(group, now_ns, sent);
    }
    best->second.pending = false;
    if (IsJson()) {
      best->second.flush_ns = Later(now_ns, group.repeat_ns > 0 ? group.repeat_ns : INT64_MAX);
    } else if (group.flush_ns <= now_ns) {  // it waited for longer than an interval
      best->second.flush_ns = Later(now_ns, std::max<std::int64_t>(group.interval_ns, 1));
    }
    Clean(id);
  }
}

std::string GroupPlanner::Render(const Group& group, std::int64_t, std::vector<Sent>* sent) const {
  struct Entry {
    const Tracked* tracked;
    const Level* level;
    Labels labels;
  };
  std::vector<Entry> entries;
  std::set<std::uint64_t> firing;
  for (const bool fires : {true, false}) {
    const std::size_t begin = entries.size();
    for (const std::string& id : group.members) {
      const Tracked& tracked = incidents_.at(id);
      for (const Level& level : tracked.levels) {
        if (level.Fires() != fires || !(fires ? tracked.MayFire(level) : TellsEnd(group, level))) continue;
        if (!fires && !level.Begun() && tracked.direction.muted) continue;
        Labels labels = AlertLabels(tracked.incident, level.severity);
        // The same alert fires again: that says it all.
        if (!firing.insert(LabelsFingerprint(labels)).second) {
          sent->push_back({id, level.severity, fires ? Told::kFiring : Told::kResolved});
          continue;
        }
        entries.push_back({&tracked, &level, std::move(labels)});
      }
    }
    std::stable_sort(entries.begin() + static_cast<std::ptrdiff_t>(begin), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.level->starts_ns < b.level->starts_ns; });
  }
  WebhookGroup message;
  message.receiver = options_.receiver.name;
  const auto odd = [](char c) { return static_cast<unsigned char>(c) < ' '; };
  const bool unusable = group.key.empty() || std::any_of(group.key.begin(), group.key.end(), odd);
  message.key = unusable ? GroupKeyText(group.labels) : group.key;
  message.external_url = options_.external_url;
  message.labels = group.labels;
  for (Entry& entry : entries) {
    const core::Incident& incident = entry.tracked->incident;
    const std::string trace_url = TraceUrl(incident, options_.external_url, options_.trace_stored);
    WebhookAlert alert;
    alert.labels = std::move(entry.labels);
    alert.annotations = AlertAnnotations(incident, trace_url);
    alert.starts_ns = entry.level->starts_ns;
    alert.ends_ns = entry.level->ends_ns;
    alert.generator_url = trace_url.empty() ? options_.external_url + "/" : trace_url;
    message.alerts.push_back(std::move(alert));
    sent->push_back({incident.id, entry.level->severity, entry.level->Fires() ? Told::kFiring : Told::kResolved});
  }
  std::size_t shown = 0;
  return RenderWebhookGroup(message, &shown);
}

std::string GroupPlanner::RenderChange(const Group& group, std::vector<Sent>* sent) const {
  const Tracked& tracked = incidents_.at(*group.members.begin());
  WebhookChange change;
  change.incident = &tracked.incident;
  core::Severity told = core::Severity::kNone, last = core::Severity::kNone;
  for (const Level& level : tracked.levels) {
    if (level.told == Told::kFiring || level.told == Told::kQuiet) told = std::max(told, level.severity);
    if (level.told == Told::kQuiet && level.Fires()) told = core::Severity::kNone;
    last = level.severity;
    if (level.Fires()) change.severity = level.severity;
    change.ends_ns = std::max(change.ends_ns, level.ends_ns);
    sent->push_back({tracked.incident.id, level.severity, level.Fires() ? Told::kFiring : Told::kResolved});
  }
  change.previous_severity = told;
  if (tracked.Fires()) {
    change.ends_ns = 0;
    change.transition = told == core::Severity::kNone ? "firing"
                        : told < change.severity      ? "escalated"
                        : told > change.severity      ? "deescalated"
                                                      : "repeated";
  } else {
    change.transition = "resolved";
    change.severity = last;
  }
  change.id = tracked.incident.id + "/" + std::to_string(group.sent + 1) + "/" + change.transition;
  change.unwatched = tracked.unwatched;
  change.receiver = options_.receiver.name;
  change.external_url = options_.external_url;
  change.trace_url = TraceUrl(tracked.incident, options_.external_url, options_.trace_stored);
  return RenderWebhookChange(change);
}

void GroupPlanner::OnAnswer(UrlVerdict verdict, const std::vector<Sent>& sent, std::int64_t now_ns) {
  const GroupId id = std::exchange(under_way_, 0);
  const auto it = groups_.find(id);
  if (it == groups_.end()) return;
  Group& group = it->second;
  if (verdict == UrlVerdict::kRateLimited || verdict == UrlVerdict::kRetry) {
    group.order = ++last_order_;  // those behind it go first
    for (const Sent& each : sent) {
      if (const auto tracked = incidents_.find(each.incident); tracked != incidents_.end()) MarkDue(&tracked->second);
    }
    return;
  }
  group.pending = false;
  if (verdict == UrlVerdict::kDelivered) {
    ++group.sent;
    group.sent_ns = now_ns;
  } else {
    // Refused. An end is not told again; what fires is, with the next interval, or, if changes are told one by one,
    // with the next change.
    for (const Sent& each : sent) {
      Level* level = FindLevel(each);
      if (level == nullptr || (level->Fires() && !IsJson())) continue;
      level->told = level->Fires() ? Told::kFiring : Told::kResolved;
      ++incidents_.at(each.incident).version;
    }
    if (IsJson()) group.sent_ns = now_ns;
  }
  if (IsJson()) group.flush_ns = now_ns;
  Clean(id);
}

std::int64_t GroupPlanner::DueNs() const {
  std::int64_t due = INT64_MAX;
  for (const auto& [id, group] : groups_) due = std::min(due, group.pending ? INT64_MIN : group.flush_ns);
  return due;
}

std::size_t GroupPlanner::Waiting(bool urgent_only) const {
  if (!usable_) return 0;
  return static_cast<std::size_t>(std::count_if(groups_.begin(), groups_.end(), [&](const auto& entry) {
    const Group& group = entry.second;
    if (group.pending) return true;
    return (!urgent_only || group.flush_ns <= now_ns_) && Look(group, INT64_MIN) != Reason::kNothing;
  }));
}

void GroupPlanner::SaveGroups(std::vector<StoredSlot>* out) const {
  for (const auto& [id, group] : groups_) {
    StoredSlot row;
    row.id = id;
    core::CodecWriter writer(&row.body);
    writer.U64(kVersion).Text(group.key).U64(group.labels.size());
    for (const core::NameValue& label : group.labels) writer.Text(label.name).Text(label.value);
    writer.I64(group.flush_ns == INT64_MAX ? INT64_MAX : ToWall(group.flush_ns)).I64(ToWall(group.sent_ns));
    writer.U64(group.sent).Bool(group.pending).I64(ToWall(group.pending_since_ns)).U64(group.order);
    writer.Bool(under_way_ == id && in_flight_);
    out->push_back(std::move(row));
  }
}

bool GroupPlanner::LoadGroup(const StoredSlot& row, std::int64_t now_ns) {
  core::CodecReader reader(row.body);
  if (reader.U64() != kVersion) return false;
  Group group;
  group.key = reader.Text();
  for (std::size_t i = reader.Count(); i > 0; --i) {
    core::NameValue label;
    label.name = reader.Text();
    label.value = reader.Text();
    group.labels.push_back(std::move(label));
  }
  const std::int64_t flush = reader.I64();
  group.flush_ns = flush == INT64_MAX ? flush : std::min(FromWall(flush), Later(now_ns, 86'400'000'000'000));
  group.sent_ns = std::min(FromWall(reader.I64()), now_ns);
  group.sent = reader.U64();
  group.pending = reader.Bool();
  group.pending_since_ns = std::min(FromWall(reader.I64()), now_ns);
  group.order = reader.U64();
  const bool under_way = reader.Bool();
  if (!reader.AtEnd() || !by_key_.emplace(group.key, row.id).second) return false;
  // It may have come through without our hearing of it.
  if (under_way) ++counters_.possible_duplicates;
  last_group_ = std::max(last_group_, row.id);
  last_order_ = std::max(last_order_, group.order);
  groups_.emplace(row.id, std::move(group));
  return true;
}

}  // namespace spanwatch::notify
