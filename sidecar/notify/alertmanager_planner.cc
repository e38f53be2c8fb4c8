#include "sidecar/notify/alertmanager_planner.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "sidecar/notify/webhook_body.h"

namespace spanwatch::notify {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kShortest = 1'000'000;  // Alertmanager refuses what ends before it begins
constexpr std::int64_t kLives = 4;             // resend intervals that an alert lives without being sent again

std::int64_t Later(std::int64_t at_ns, std::int64_t wait_ns) { return at_ns == INT64_MIN ? at_ns : at_ns + wait_ns; }

}  // namespace

void AlertmanagerPlanner::OnChange(Tracked* tracked, std::int64_t now_ns) {
  if (tracked->Fires()) {
    latest_[tracked->incident.fingerprint] = tracked->incident.id;
    return;
  }
  const std::string id = tracked->incident.id;
  ForgetOver(id, now_ns);
}

void AlertmanagerPlanner::ForgetOver(const std::string& id, std::int64_t now_ns) {
  Forget(id, [&](const Tracked& tracked, const Level& level) {
    if (IsOver(tracked, level, now_ns)) return true;
    const bool given_up = level.told != Told::kResolved && IsTooOld(tracked, level, now_ns);
    counters_.failed += given_up ? 1 : 0;
    return given_up;
  });
}

void AlertmanagerPlanner::OnForget(const Tracked& tracked) {
  const auto it = latest_.find(tracked.incident.fingerprint);
  if (it != latest_.end() && it->second == tracked.incident.id) latest_.erase(it);
}

// A later incident is the same alert: to tell the end of this one would end that one.
bool AlertmanagerPlanner::FiresAnew(const Tracked& tracked, const Level& level) const {
  const auto latest = latest_.find(tracked.incident.fingerprint);
  if (latest == latest_.end() || latest->second == tracked.incident.id) return false;
  const auto other = incidents_.find(latest->second);
  return other != incidents_.end() &&
         std::any_of(other->second.levels.begin(), other->second.levels.end(),
                     [&](const Level& l) { return l.severity == level.severity && l.Fires(); });
}

bool AlertmanagerPlanner::IsOver(const Tracked& tracked, const Level& level, std::int64_t now_ns) const {
  if (level.Fires()) return false;
  if (!options_.receiver.send_resolved || FiresAnew(tracked, level)) return true;
  if (level.told == Told::kNone || level.told == Told::kQuiet) return true;
  if (level.told != Told::kResolved) return false;
  return level.first_end_ns != INT64_MIN && now_ns - level.first_end_ns >= kKeepResolvedNs;
}

AlertmanagerPlanner::Plan AlertmanagerPlanner::PlanOf(const Tracked& tracked, const Level& level) const {
  const std::int64_t again_ns = Later(level.sent_ns, options_.receiver.resend_interval_ns);
  if (!level.Fires()) {
    if (level.told == Told::kResolved) return {Told::kResolved, false, again_ns};
    if (level.Begun() && level.told != Told::kQuiet) return {Told::kResolved, true, INT64_MIN};
    return {};
  }
  if (tracked.MayFire(level)) {
    if (level.told == Told::kFiring) return {Told::kFiring, false, again_ns};
    return {Told::kFiring, true, INT64_MIN};
  }
  const bool known = level.told == Told::kFiring || level.told == Told::kDue;
  if (tracked.direction.muted && known) return {Told::kQuiet, true, INT64_MIN};
  // Once more, in case its clock is behind ours.
  if (tracked.direction.muted && level.told == Told::kQuiet && level.sent_ns == level.first_end_ns) {
    return {Told::kQuiet, false, again_ns};
  }
  return {};
}

std::vector<AlertmanagerPlanner::Entry> AlertmanagerPlanner::Due(std::int64_t now_ns) {
  // What is due soon goes along, so that alerts gather in few requests.
  const std::int64_t soon_ns = now_ns + options_.receiver.resend_interval_ns / 6;
  std::vector<Entry> entries;
  bool due = false;
  for (auto& [id, tracked] : incidents_) {
    for (Level& level : tracked.levels) {
      const Plan plan = PlanOf(tracked, level);
      if (plan.told == Told::kNone || plan.due_ns > soon_ns) continue;
      due = due || plan.due_ns <= now_ns;
      entries.push_back({&tracked, &level, plan});
    }
  }
  if (!due) return {};
  // News first; ends before beginnings, of which the oldest comes first.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    const auto key = [](const Entry& e) {
      return std::tuple(!e.plan.is_news, e.plan.due_ns, e.level->Fires(), e.level->starts_ns);
    };
    return key(a) < key(b);
  });
  return entries;
}

std::int64_t AlertmanagerPlanner::EndOf(const Entry& entry, std::int64_t wall_ns) const {
  if (entry.plan.told == Told::kFiring) return wall_ns + kLives * options_.receiver.resend_interval_ns;
  if (entry.plan.told == Told::kQuiet) return std::max(wall_ns, entry.level->starts_ns + kShortest);
  return entry.level->ends_ns;
}

std::optional<std::string> AlertmanagerPlanner::Compose(std::int64_t now_ns, std::vector<Sent>* sent) {
  std::vector<std::string> ids;
  for (const auto& [id, tracked] : incidents_) ids.push_back(id);
  for (const std::string& id : ids) ForgetOver(id, now_ns);
  Json alerts = Json::array();
  std::size_t bytes = 0;
  for (const Entry& entry : Due(now_ns)) {
    const core::Incident& incident = entry.tracked->incident;
    const std::string trace_url = TraceUrl(incident, options_.external_url, options_.trace_stored);
    WebhookAlert alert;
    alert.labels = AlertLabels(incident, entry.level->severity);
    alert.annotations = AlertAnnotations(incident, trace_url);
    alert.generator_url = trace_url.empty() ? options_.external_url + "/" : trace_url;
    bytes += WeightOf(alert);
    if (!alerts.empty() && (alerts.size() >= kMaxBatch || bytes > kMaxBytes)) break;
    alerts.push_back({{"labels", alert.labels},
                      {"annotations", alert.annotations},
                      {"startsAt", AlertTime(entry.level->starts_ns)},
                      {"endsAt", AlertTime(EndOf(entry, ToWall(now_ns)))},
                      {"generatorURL", alert.generator_url}});
    if (entry.plan.told == Told::kFiring && entry.level->told == Told::kNone) {
      entry.level->told = Told::kDue;
      ++entry.tracked->version;
    }
    sent->push_back({incident.id, entry.level->severity, entry.plan.told});
  }
  if (alerts.empty()) return std::nullopt;
  return alerts.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void AlertmanagerPlanner::OnAnswer(UrlVerdict verdict, const std::vector<Sent>& sent, std::int64_t now_ns) {
  if (verdict != UrlVerdict::kRefused) return;
  // It may have stored the valid ones all the same. The next interval tries again; an end is not told again.
  for (const Sent& each : sent) {
    Level* level = FindLevel(each);
    if (level == nullptr) continue;
    level->sent_ns = now_ns;
    level->told = each.told == Told::kResolved && level->Fires() ? Told::kNone : each.told;
    if (level->told == Told::kResolved) level->first_end_ns = now_ns - kKeepResolvedNs;
    ++incidents_.at(each.incident).version;
  }
}

std::int64_t AlertmanagerPlanner::DueNs() const {
  std::int64_t due = INT64_MAX;
  for (const auto& [id, tracked] : incidents_) {
    for (const Level& level : tracked.levels) {
      const Plan plan = PlanOf(tracked, level);
      if (plan.told != Told::kNone) due = std::min(due, plan.due_ns);
    }
  }
  return due;
}

std::size_t AlertmanagerPlanner::Waiting(bool) const {
  if (!usable_) return 0;
  std::size_t waiting = 0;
  for (const auto& [id, tracked] : incidents_) {
    for (const Level& level : tracked.levels) waiting += PlanOf(tracked, level).is_news ? 1 : 0;
  }
  return waiting;
}

}  // namespace spanwatch::notify
