#include "sidecar/notify/routing.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <tuple>

#include "sidecar/core/utf8.h"

namespace spanwatch::notify {
namespace {

using core::Incident;
using core::NameValue;
using core::Silence;

constexpr std::int64_t kDay = 86'400'000'000'000;
constexpr std::size_t kMaxShownComment = 160;

std::string Format(std::int64_t wall_ns, const char* format) {
  const std::time_t seconds = static_cast<std::time_t>(wall_ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), format, &parts);
  return text.data();
}

bool AddHits(const core::Route& route, const std::string& path, const std::string& key, const LabelSet& labels,
             std::vector<RouteHit>* hits) {
  if (!Matches(route.matchers, labels)) return false;
  const std::size_t before = hits->size();
  for (std::size_t i = 0; i < route.routes.size(); ++i) {
    const core::Route& child = route.routes[i];
    const bool taken =
        AddHits(child, path + ".routes[" + std::to_string(i) + "]", key + "/" + TextOf(child.matchers), labels, hits);
    if (taken && !child.go_on) break;
  }
  if (hits->size() == before) hits->push_back({&route, path, key});
  return true;
}

void AddReceivers(const core::Route& route, std::vector<std::string>* names) {
  if (std::find(names->begin(), names->end(), route.receiver) == names->end()) names->push_back(route.receiver);
  for (const core::Route& child : route.routes) AddReceivers(child, names);
}

// One line, and not too long for a message.
std::string Shown(const std::string& comment) {
  std::string text(core::CutUtf8(comment, kMaxShownComment));
  if (text.size() < comment.size()) text += "…";
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return text;
}

// Both "until" and "by" must be true: of several it is the one that ends last.
const Silence* LastToEnd(const std::vector<const Silence*>& silences) {
  const auto it = std::max_element(silences.begin(), silences.end(), [](const Silence* a, const Silence* b) {
    return std::tie(a->ends_ns, b->id) < std::tie(b->ends_ns, a->id);
  });
  return it == silences.end() ? nullptr : *it;
}

std::string SilencedText(const Silence& silence) {
  return "silenced by " + silence.created_by + " until " + TimeOfDay(silence.ends_ns, silence.starts_ns) + ": " +
         Shown(silence.comment);
}

std::string NameOf(const core::InhibitRule& rule, std::size_t number) {
  return rule.name.empty() ? "inhibit_rules[" + std::to_string(number) + "]" : "\"" + rule.name + "\"";
}

std::string InhibitedReason(const core::InhibitRule& rule, const Inhibition& inhibition, const LabelSet& labels) {
  const Incident& source = *inhibition.source;
  std::string text = "inhibited by " + source.alertname;
  if (source.fired_at_ns > 0) text += ", which fires since " + TimeOfDay(source.fired_at_ns, 0);
  text += " (rule " + NameOf(rule, inhibition.rule);
  for (std::size_t i = 0; i < rule.equal.size(); ++i) {
    text += i == 0 ? ", for the same " : ", ";
    text += rule.equal[i] + " \"" + std::string(labels.Get(rule.equal[i])) + "\"";
  }
  return text + ")";
}

// What is said of an incident to whoever is routed to.
struct Muting {
  std::string by;      // Direction::muted_by; empty: nothing mutes
  std::string reason;  // the same with more of it
};

Muting MutingOf(const core::Routing& routing, const LabelSet& labels, const std::vector<const Silence*>& silences,
                const std::optional<Inhibition>& inhibition) {
  Muting muting;
  if (const Silence* silence = LastToEnd(silences)) {
    muting.by = SilencedText(*silence);
    muting.reason = muting.by + " (silence " + silence->id + ", since " + TimeOfDay(silence->starts_ns, 0);
    if (silences.size() > 1) muting.reason += ", and " + std::to_string(silences.size() - 1) + " more";
    muting.reason += ")";
  }
  if (inhibition) {
    if (!muting.by.empty()) {
      muting.by += "; ";
      muting.reason += "; ";
    }
    muting.by += "inhibited by " + inhibition->source->alertname;
    muting.reason += InhibitedReason(routing.inhibit_rules[inhibition->rule], *inhibition, labels);
  }
  return muting;
}

std::string RouteReason(const RouteHit& hit) {
  if (!hit.route->matchers.empty()) return hit.path + " takes it (" + TextOf(hit.route->matchers) + ")";
  if (hit.route->routes.empty()) return hit.path + " takes all";
  return hit.path + " takes it, because none of its routes does";
}

void SetGroup(const RouteHit& hit, const LabelSet& labels, Direction* direction) {
  const core::Route& route = *hit.route;
  std::vector<NameValue>* group = &direction->group_labels;
  if (route.group_by.size() == 1 && route.group_by.front() == "...") {
    *group = labels.all();
  } else {
    for (const std::string& name : route.group_by) {
      const std::string_view value = labels.Get(name);
      if (!value.empty()) group->push_back({name, std::string(value)});
    }
  }
  std::vector<NameValue> sorted = *group;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::string* key = &direction->group_key;
  *key = hit.key + ":{";
  for (const NameValue& label : sorted) {
    if (&label != &sorted.front()) *key += ", ";
    *key += core::Matcher{label.name, core::MatchOp::kEqual, label.value, nullptr}.Text();
  }
  *key += '}';
  direction->group_wait_ns = route.group_wait_ns;
  direction->group_interval_ns = route.group_interval_ns;
  direction->repeat_interval_ns = route.repeat_interval_ns;
}

bool Fires(const Incident& incident) { return incident.state == core::AlertState::kFiring; }

std::optional<Inhibition> FindInhibition(const core::Routing& routing, const std::vector<Incident>& incidents,
                                         const LabelSet& labels) {
  for (std::size_t i = 0; i < routing.inhibit_rules.size(); ++i) {
    const core::InhibitRule& rule = routing.inhibit_rules[i];
    if (!Matches(rule.target, labels)) continue;
    const bool both_sides = Matches(rule.source, labels);
    const Incident* found = nullptr;
    for (const Incident& each : incidents) {
      if (!Fires(each)) continue;
      const LabelSet source(each);
      const auto equal = [&](const std::string& name) { return source.Get(name) == labels.Get(name); };
      if (!Matches(rule.source, source) || !std::all_of(rule.equal.begin(), rule.equal.end(), equal)) continue;
      if (both_sides && Matches(rule.target, source)) continue;
      const bool earlier =
          found == nullptr || std::tie(each.fired_at_ns, each.id) < std::tie(found->fired_at_ns, found->id);
      if (earlier) found = &each;
    }
    if (found != nullptr) return Inhibition{i, found};
  }
  return std::nullopt;
}

}  // namespace

LabelSet::LabelSet(const Incident& incident) {
  labels_.reserve(incident.labels.size() + 2);
  labels_.push_back({"alertname", incident.alertname});
  labels_.push_back({"severity", core::ToString(incident.peak_severity)});
  for (const NameValue& label : incident.labels) {
    if (!label.value.empty()) labels_.push_back(label);
  }
  // Of two of a name the first one holds: nobody takes alertname and severity from an incident.
  std::stable_sort(labels_.begin(), labels_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  labels_.erase(
      std::unique(labels_.begin(), labels_.end(), [](const auto& a, const auto& b) { return a.name == b.name; }),
      labels_.end());
}

std::string_view LabelSet::Get(std::string_view name) const {
  const auto it = std::lower_bound(labels_.begin(), labels_.end(), name,
                                   [](const NameValue& label, std::string_view wanted) { return label.name < wanted; });
  return it == labels_.end() || it->name != name ? std::string_view() : std::string_view(it->value);
}

bool Matches(const std::vector<core::Matcher>& matchers, const LabelSet& labels) {
  return std::all_of(matchers.begin(), matchers.end(),
                     [&](const core::Matcher& matcher) { return matcher.Matches(labels.Get(matcher.name)); });
}

std::string TextOf(const std::vector<core::Matcher>& matchers) {
  std::string text = "{";
  for (const core::Matcher& matcher : matchers) {
    if (&matcher != &matchers.front()) text += ',';
    text += matcher.Text();
  }
  return text + "}";
}

std::vector<RouteHit> FindRoutes(const core::Route& root, const LabelSet& labels) {
  std::vector<RouteHit> hits;
  AddHits(root, "route", "{}", labels, &hits);
  return hits;
}

std::vector<std::string> ReachedReceivers(const core::Route& root) {
  std::vector<std::string> names;
  AddReceivers(root, &names);
  return names;
}

core::SilenceState StateOf(const Silence& silence, std::int64_t wall_ns) {
  if (wall_ns >= silence.ends_ns) return core::SilenceState::kExpired;
  return wall_ns < silence.starts_ns ? core::SilenceState::kPending : core::SilenceState::kActive;
}

std::string TimeOfDay(std::int64_t wall_ns, std::int64_t beside_ns) {
  return Format(wall_ns, wall_ns / kDay == beside_ns / kDay ? "%H:%M UTC" : "%Y-%m-%d %H:%M UTC");
}

Verdict Compose(const core::Routing& routing, const LabelSet& labels, std::vector<const Silence*> silences,
                const std::optional<Inhibition>& inhibition) {
  Verdict verdict;
  std::sort(silences.begin(), silences.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  for (const Silence* silence : silences) verdict.silenced_by.push_back(silence->id);
  if (inhibition) verdict.inhibited_by.push_back(inhibition->source->fingerprint);
  const Muting muting = MutingOf(routing, labels, silences, inhibition);
  const std::vector<RouteHit> hits = FindRoutes(routing.route, labels);
  for (const core::Receiver& receiver : routing.receivers) {
    Decision decision;
    decision.receiver = receiver.name;
    const auto hit = std::find_if(hits.begin(), hits.end(),
                                  [&](const RouteHit& each) { return each.route->receiver == receiver.name; });
    if (hit == hits.end()) {
      decision.reason = "not told: " + (hits.empty() ? std::string("no route takes it") : RouteReason(hits.front())) +
                        (hits.empty() ? "" : " and leads to \"" + hits.front().route->receiver + "\"");
    } else {
      decision.route = hit->path;
      decision.direction.routed = true;
      decision.direction.muted = !muting.by.empty();
      decision.direction.muted_by = muting.by;
      SetGroup(*hit, labels, &decision.direction);
      decision.reason =
          muting.by.empty() ? "told: " + RouteReason(*hit) : "not told: " + muting.reason + "; " + RouteReason(*hit);
    }
    verdict.receivers.push_back(std::move(decision));
  }
  return verdict;
}

Verdict Decide(const core::Routing& routing, const std::vector<Silence>& silences,
               const std::vector<Incident>& incidents, const Incident& incident, std::int64_t wall_ns) {
  const LabelSet labels(incident);
  std::vector<const Silence*> active;
  for (const Silence& silence : silences) {
    const bool holds = StateOf(silence, wall_ns) == core::SilenceState::kActive && Matches(silence.matchers, labels);
    if (holds) active.push_back(&silence);
  }
  return Compose(routing, labels, std::move(active), FindInhibition(routing, incidents, labels));
}

}  // namespace spanwatch::notify
