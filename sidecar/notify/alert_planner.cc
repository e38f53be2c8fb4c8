#include "sidecar/notify/alert_planner.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "sidecar/core/hash.h"
#include "sidecar/notify/discord_text.h"

namespace spanwatch::notify {
namespace {

constexpr std::int64_t kShortest = 1'000'000;  // Alertmanager refuses what ends before it begins
constexpr std::int64_t kClockSlack = 1'000'000'000;

}  // namespace

void AlertPlanner::SetOptions(PlannerOptions options) {
  to_wall_ns_ = options.to_wall_ns;
  Planner::SetOptions(std::move(options));
}

void AlertPlanner::SetTarget(bool usable, bool same_target, std::int64_t now_ns) {
  usable_ = usable;
  given_up_ = false;
  in_flight_ = false;
  sent_.clear();
  back_off_ = {};
  last_error_.clear();
  if (!same_target) {
    OnNewTarget(now_ns);
    for (auto it = incidents_.begin(); it != incidents_.end();) {
      Tracked& tracked = it->second;
      std::erase_if(tracked.levels, [](const Level& level) { return !level.Fires(); });
      for (Level& level : tracked.levels) level.told = Told::kNone;
      tracked.group = 0;
      ++tracked.version;
      it = tracked.levels.empty() ? incidents_.erase(it) : std::next(it);
    }
  }
  Redirect(now_ns);
}

// The levels as the incident's state and severity have them.
void AlertPlanner::Follow(Tracked* tracked, std::int64_t at_ns) {
  const core::Incident& incident = tracked->incident;
  const bool fires = tracked->Fires();
  core::Severity severity = incident.severity == core::Severity::kNone ? incident.peak_severity : incident.severity;
  if (severity == core::Severity::kNone) severity = core::Severity::kWarning;
  if (!fires && incident.resolved_at_ns != 0) at_ns = incident.resolved_at_ns;
  Level* open = nullptr;
  for (Level& level : tracked->levels) {
    if (fires && level.severity == severity) {
      open = &level;
    } else if (level.Fires()) {
      level.ends_ns = std::max(at_ns, level.starts_ns + kShortest);
    }
  }
  if (!fires) return;
  if (open == nullptr) {
    const bool first = tracked->levels.empty() && incident.fired_at_ns != 0;
    Level level;
    level.severity = severity;
    level.starts_ns = first ? incident.fired_at_ns : at_ns;
    tracked->levels.push_back(level);
  } else if (!open->Fires()) {
    open->ends_ns = 0;
    if (open->told == Told::kResolved) {
      open->told = Told::kNone;
      open->starts_ns = at_ns;
    }
  }
}

void AlertPlanner::Add(const core::Transition& transition, std::int64_t now_ns, bool inherited) {
  const core::Incident& incident = transition.incident;
  if (incident.state != core::AlertState::kFiring && incident.state != core::AlertState::kResolved) return;
  now_ns_ = now_ns;
  const std::uint64_t number = NumberOf(transition);
  auto it = incidents_.find(incident.id);
  if (it == incidents_.end()) {
    // Nobody is to be told of what was over before there was anybody to tell.
    if (!usable_ && incident.state == core::AlertState::kResolved) return;
    if (!MakeRoom(incident.state == core::AlertState::kFiring)) {
      ++counters_.dropped;
      return;
    }
    it = incidents_.emplace(incident.id, Tracked{}).first;
    if (incident.state == core::AlertState::kResolved) {  // its beginning was superseded while it waited
      it->second.incident = incident;
      it->second.incident.state = core::AlertState::kFiring;
      Follow(&it->second, incident.fired_at_ns);
      Direct(&it->second);
      OnChange(&it->second, now_ns);
    }
  } else if (number < it->second.number) {
    return;  // a repeat of what was overtaken
  }
  Tracked& tracked = it->second;
  tracked.incident = incident;
  tracked.number = number;
  tracked.unwatched = false;
  tracked.inherited = inherited;
  Follow(&tracked, transition.at_ns);
  Direct(&tracked);
  ++tracked.version;
  OnChange(&tracked, now_ns);
}

void AlertPlanner::Refresh(const std::string&, std::int64_t) {}  // critical paths are not told

void AlertPlanner::Direct(Tracked* tracked) { tracked->direction = DirectionOf(tracked->incident); }

void AlertPlanner::Redirect(std::int64_t now_ns) {
  now_ns_ = now_ns;
  std::vector<std::string> ids;
  for (const auto& [id, tracked] : incidents_) ids.push_back(id);
  for (const std::string& id : ids) {
    const auto it = incidents_.find(id);
    if (it == incidents_.end()) continue;
    Direct(&it->second);
    OnChange(&it->second, now_ns);
  }
}

bool AlertPlanner::IsTooOld(const Tracked& tracked, const Level& level, std::int64_t now_ns) const {
  if (tracked.Fires() || level.Fires() || back_off_.failures() == 0) return false;
  return now_ns - std::max(back_off_.since_ns(), FromWall(level.ends_ns)) >= options_.max_age_ns;
}

// First goes what is over and need not be told; for what fires also what is over longest and could not be told.
bool AlertPlanner::MakeRoom(bool for_firing) {
  if (incidents_.size() < options_.max_incidents) return true;
  if (in_flight_) return false;
  auto victim = incidents_.end();
  for (auto it = incidents_.begin(); it != incidents_.end(); ++it) {
    const std::vector<Level>& levels = it->second.levels;
    if (it->second.Fires()) continue;
    if (std::none_of(levels.begin(), levels.end(), [](const Level& level) { return level.Begun(); })) {
      victim = it;
      break;
    }
    const bool older = victim == incidents_.end() || levels.back().ends_ns < victim->second.levels.back().ends_ns;
    if (for_firing && older) victim = it;
  }
  if (victim == incidents_.end()) return false;
  const std::vector<Level>& levels = victim->second.levels;
  if (std::any_of(levels.begin(), levels.end(), [](const Level& level) { return level.Begun(); })) ++counters_.dropped;
  OnForget(victim->second);
  incidents_.erase(victim);
  return true;
}

bool AlertPlanner::Forget(const std::string& id, const std::function<bool(const Tracked&, const Level&)>& over) {
  const auto it = incidents_.find(id);
  if (it == incidents_.end()) return true;
  Tracked& tracked = it->second;
  if (std::erase_if(tracked.levels, [&](const Level& level) { return over(tracked, level); }) > 0) ++tracked.version;
  if (tracked.Fires() || !tracked.levels.empty()) return false;
  OnForget(tracked);
  incidents_.erase(it);
  return true;
}

AlertPlanner::Level* AlertPlanner::FindLevel(const Sent& sent) {
  const auto it = incidents_.find(sent.incident);
  if (it == incidents_.end()) return nullptr;
  for (Level& level : it->second.levels) {
    if (level.severity == sent.severity) return &level;
  }
  return nullptr;
}

std::optional<Request> AlertPlanner::Next(std::int64_t now_ns) {
  now_ns_ = now_ns;
  if (!usable_ || in_flight_ || back_off_.until_ns() > now_ns) return std::nullopt;
  sent_.clear();
  std::optional<std::string> body = Compose(now_ns, &sent_);
  if (!body) return std::nullopt;
  in_flight_ = true;
  return Request{Method::kPost, "", std::move(*body)};
}

// The other side has it. What changed since then is told next.
void AlertPlanner::Mark(const Sent& sent, std::int64_t now_ns, std::int64_t wall_ns) {
  Level* level = FindLevel(sent);
  if (level == nullptr) return;
  level->sent_ns = now_ns;
  level->told_wall_ns = wall_ns;
  if (sent.told == Told::kFiring) {
    level->first_end_ns = INT64_MIN;
  } else if (level->first_end_ns == INT64_MIN) {
    level->first_end_ns = now_ns;
  }
  const Told told = sent.told == Told::kResolved && level->Fires() ? Told::kNone : sent.told;
  if (std::exchange(level->told, told) != told) ++incidents_.at(sent.incident).version;
}

void AlertPlanner::OnReply(const Reply& reply, std::int64_t now_ns, std::int64_t wall_ns) {
  if (!std::exchange(in_flight_, false)) return;
  now_ns_ = now_ns;
  // Not for less: what is stored holds times, and would change with each answer.
  if (std::abs(wall_ns - now_ns - to_wall_ns_) > kClockSlack) to_wall_ns_ = wall_ns - now_ns;
  const std::vector<Sent> sent = std::exchange(sent_, {});
  const UrlOutcome outcome = JudgeUrl(reply, wall_ns);
  switch (outcome.verdict) {
    case UrlVerdict::kDelivered:
      ++counters_.posted;
      last_delivered_wall_ns_ = wall_ns;
      last_error_.clear();
      for (const Sent& each : sent) Mark(each, now_ns, wall_ns);
      break;
    case UrlVerdict::kRateLimited:
      ++counters_.rate_limited;
      break;
    case UrlVerdict::kRetry:
      ++counters_.retried;
      if (reply.maybe_sent && RepeatIsSeen()) ++counters_.possible_duplicates;
      break;
    case UrlVerdict::kRefused:
      ++counters_.failed;
      break;
  }
  if (!outcome.text.empty()) last_error_ = outcome.text;
  if (outcome.verdict == UrlVerdict::kRateLimited || outcome.verdict == UrlVerdict::kRetry) {
    back_off_.Failed(now_ns, core::Hasher().Add(std::string_view(options_.receiver.name)).Digest64(),
                     outcome.retry_after_ns);
  } else {
    back_off_.Answered();
  }
  OnAnswer(outcome.verdict, sent, now_ns);
}

std::int64_t AlertPlanner::NextDue() const {
  if (!usable_ || in_flight_) return INT64_MAX;
  const std::int64_t due = DueNs();
  return due == INT64_MAX ? due : std::max(due, back_off_.until_ns());
}

core::Delivery AlertPlanner::Explain(const Tracked& tracked, std::int64_t now_ns, std::int64_t wall_ns) const {
  core::Delivery delivery;
  const Level& level = tracked.levels.back();
  const std::string ago = level.told_wall_ns == 0 ? "" : FormatLength(wall_ns - level.told_wall_ns) + " ago";
  const bool told = level.told == Told::kFiring || level.told == Told::kResolved;
  if (!usable_) {
    delivery.state = "not_configured";
  } else if (tracked.direction.muted && !told) {
    delivery.state = "muted";
    delivery.detail = tracked.direction.muted_by;
  } else if (!tracked.direction.routed && !told) {
    delivery.state = "not_routed";
  } else if (told && (level.told == Told::kResolved) == !level.Fires()) {
    delivery.state = "posted";
    delivery.detail =
        std::string(level.Fires() ? "told that it fires" : "told that it is over") + (ago.empty() ? "" : ", " + ago);
  } else {
    delivery.state = "waiting";
    if (!last_error_.empty() && back_off_.failures() > 0) {
      delivery.detail = std::to_string(back_off_.failures()) + " attempts in vain, next in " +
                        FormatLength(back_off_.until_ns() - now_ns) + ": " + last_error_;
    } else if (const std::int64_t due = DueNs(); due > now_ns && due != INT64_MAX) {
      delivery.detail = "in a message that is due in " + FormatLength(due - now_ns);
    }
  }
  return delivery;
}

std::vector<std::pair<std::string, core::Delivery>> AlertPlanner::Explain(std::size_t limit, std::int64_t now_ns,
                                                                          std::int64_t wall_ns) const {
  std::vector<std::pair<std::string, core::Delivery>> all;
  for (const auto& [id, tracked] : incidents_) {
    if (all.size() >= limit) break;
    if (!tracked.levels.empty()) all.emplace_back(id, Explain(tracked, now_ns, wall_ns));
  }
  return all;
}

}  // namespace spanwatch::notify
