#include "sidecar/notify/dispatch_index.h"

#include <algorithm>
#include <tuple>

namespace spanwatch::notify {
namespace {

using core::Incident;
using core::Silence;
using core::SilenceState;

// Values that cannot be taken for others.
std::string KeyOf(const core::InhibitRule& rule, const LabelSet& labels) {
  std::string key;
  for (const std::string& name : rule.equal) {
    const std::string_view value = labels.Get(name);
    key += std::to_string(value.size());
    key += ':';
    key += value;
  }
  return key;
}

// A matcher that only one value satisfies, which is not the empty one.
const core::Matcher* LiteralOf(const Silence& silence) {
  const auto it = std::find_if(silence.matchers.begin(), silence.matchers.end(), [](const core::Matcher& matcher) {
    return matcher.op == core::MatchOp::kEqual && !matcher.value.empty();
  });
  return it == silence.matchers.end() ? nullptr : &*it;
}

const Incident* First(const std::map<std::pair<std::int64_t, std::string>, const Incident*>& sources) {
  return sources.empty() ? nullptr : sources.begin()->second;
}

std::string IdOf(const Incident* incident) { return incident == nullptr ? std::string() : incident->id; }

}  // namespace

void DispatchIndex::SetRouting(std::shared_ptr<const core::Routing> routing) {
  routing_ = routing == nullptr ? std::make_shared<const core::Routing>() : std::move(routing);
  Rebuild();
  for (const core::Receiver& receiver : routing_->receivers) changed_.insert(receiver.name);
}

// Everything is judged anew.
void DispatchIndex::Rebuild() {
  rules_.assign(routing_->inhibit_rules.size(), {});
  for (auto& [id, firing] : firing_) {
    firing->directions.clear();
    Link(firing.get(), true);
    to_settle_.insert(id);
  }
  Settle();
}

void DispatchIndex::MarkMatching(const Silence& silence) {
  for (const auto& [id, firing] : firing_) {
    if (Matches(silence.matchers, firing->labels)) to_settle_.insert(id);
  }
}

void DispatchIndex::Activate(const Silence& silence, bool active) {
  const core::Matcher* const literal = LiteralOf(silence);
  const auto place = [&](std::set<std::string>* ids) {
    if (active) {
      ids->insert(silence.id);
    } else {
      ids->erase(silence.id);
    }
  };
  place(&active_);
  if (literal == nullptr) {
    place(&by_other_);
  } else {
    const auto key = std::make_pair(literal->name, literal->value);
    place(&by_literal_[key]);
    if (by_literal_[key].empty()) by_literal_.erase(key);
  }
  MarkMatching(silence);
}

void DispatchIndex::PutSilence(const Silence& silence) {
  RemoveSilence(silence.id);
  const Silence& stored = silences_.emplace(silence.id, silence).first->second;
  if (StateOf(silence, wall_ns_) == SilenceState::kActive) Activate(stored, true);
  Settle();
}

void DispatchIndex::RemoveSilence(const std::string& id) {
  const auto it = silences_.find(id);
  if (it == silences_.end()) return;
  // Judged once it is gone: who calls this calls Settle.
  if (active_.contains(id)) Activate(it->second, false);
  silences_.erase(it);
}

void DispatchIndex::DropSilence(const std::string& id) {
  RemoveSilence(id);
  Settle();
}

void DispatchIndex::Advance(std::int64_t wall_ns) {
  wall_ns_ = wall_ns;
  for (const auto& [id, silence] : silences_) {
    const bool active = StateOf(silence, wall_ns) == SilenceState::kActive;
    if (active != active_.contains(id)) Activate(silence, active);
  }
  Settle();
}

std::int64_t DispatchIndex::NextChange() const {
  std::int64_t next = INT64_MAX;
  for (const auto& [id, silence] : silences_) {
    for (const std::int64_t at : {silence.starts_ns, silence.ends_ns}) {
      if (at > wall_ns_) next = std::min(next, at);
    }
  }
  return next;
}

void DispatchIndex::LinkRule(std::size_t number, Firing* firing, bool add) {
  const core::InhibitRule& rule = routing_->inhibit_rules[number];
  const bool is_target = Matches(rule.target, firing->labels);
  const bool is_source = Matches(rule.source, firing->labels);
  if (!is_target && !is_source) return;
  const std::string key = KeyOf(rule, firing->labels);
  Peers& peers = rules_[number].peers[key];
  const std::string first = IdOf(First(peers.sources)), first_one_sided = IdOf(First(peers.one_sided));
  const SourceKey order{firing->incident.fired_at_ns, firing->incident.id};
  if (add) {
    if (is_target) peers.targets.insert(firing->incident.id);
    if (is_source) peers.sources.emplace(order, &firing->incident);
    if (is_source && !is_target) peers.one_sided.emplace(order, &firing->incident);
  } else {
    peers.targets.erase(firing->incident.id);
    peers.sources.erase(order);
    peers.one_sided.erase(order);
  }
  // Those behind the first change nothing.
  if (first != IdOf(First(peers.sources)) || first_one_sided != IdOf(First(peers.one_sided))) {
    to_settle_.insert(peers.targets.begin(), peers.targets.end());
  }
  if (peers.targets.empty() && peers.sources.empty()) rules_[number].peers.erase(key);
}

void DispatchIndex::Link(Firing* firing, bool add) {
  for (std::size_t i = 0; i < rules_.size(); ++i) LinkRule(i, firing, add);
}

void DispatchIndex::Remove(const std::string& id) {
  const auto it = firing_.find(id);
  if (it == firing_.end()) return;
  Link(it->second.get(), false);
  by_order_.erase(it->second->order);
  muted_.erase(id);
  to_settle_.erase(id);
  firing_.erase(it);
}

void DispatchIndex::AddOver(const Incident& incident) {
  std::erase_if(over_, [&](const Incident& each) { return each.id == incident.id; });
  over_.push_back(incident);
  if (over_.size() > kMaxOver) over_.pop_front();
}

void DispatchIndex::Put(const Incident& incident) {
  if (incident.state == core::AlertState::kResolved) {
    Remove(incident.id);
    AddOver(incident);
    return Settle();
  }
  if (incident.state != core::AlertState::kFiring) return;
  auto it = firing_.find(incident.id);
  const bool is_new = it == firing_.end();
  if (is_new) {
    if (firing_.size() >= kMaxFiring) Remove(std::string(by_order_.begin()->second));
    it = firing_.emplace(incident.id, std::make_unique<Firing>()).first;
    it->second->order = ++last_order_;
    by_order_.emplace(last_order_, incident.id);
  }
  Firing* const firing = it->second.get();
  LabelSet labels(incident);
  const bool same = !is_new && labels == firing->labels && incident.fired_at_ns == firing->incident.fired_at_ns;
  if (same) {
    firing->incident = incident;
    return;
  }
  if (!is_new) Link(firing, false);
  firing->incident = incident;
  firing->labels = std::move(labels);
  Link(firing, true);
  to_settle_.erase(incident.id);
  Settle(firing, true);
  Settle();
}

void DispatchIndex::Reset(const std::vector<Incident>& living) {
  std::set<std::string> firing;
  for (const Incident& incident : living) {
    if (incident.state == core::AlertState::kFiring) firing.insert(incident.id);
  }
  std::vector<std::string> gone;
  for (const auto& [id, each] : firing_) {
    if (!firing.contains(id)) gone.push_back(id);
  }
  for (const std::string& id : gone) {
    Incident incident = firing_.at(id)->incident;
    Remove(id);
    incident.state = core::AlertState::kResolved;
    AddOver(incident);
  }
  for (const Incident& incident : living) Put(incident);
  Settle();
}

std::vector<const Silence*> DispatchIndex::ActiveFor(const LabelSet& labels) const {
  std::vector<const Silence*> found;
  const auto add = [&](const std::set<std::string>& ids) {
    for (const std::string& id : ids) {
      const Silence& silence = silences_.at(id);
      if (Matches(silence.matchers, labels)) found.push_back(&silence);
    }
  };
  if (!by_literal_.empty()) {
    for (const core::NameValue& label : labels.all()) {
      if (const auto it = by_literal_.find({label.name, label.value}); it != by_literal_.end()) add(it->second);
    }
  }
  add(by_other_);
  return found;
}

std::optional<Inhibition> DispatchIndex::InhibitionOf(const LabelSet& labels) const {
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const core::InhibitRule& rule = routing_->inhibit_rules[i];
    if (rules_[i].peers.empty() || !Matches(rule.target, labels)) continue;
    const auto peers = rules_[i].peers.find(KeyOf(rule, labels));
    if (peers == rules_[i].peers.end()) continue;
    const bool both_sides = Matches(rule.source, labels);
    const Incident* source = First(both_sides ? peers->second.one_sided : peers->second.sources);
    if (source != nullptr) return Inhibition{i, source};
  }
  return std::nullopt;
}

Verdict DispatchIndex::JudgeLabels(const LabelSet& labels) const {
  return Compose(*routing_, labels, ActiveFor(labels), InhibitionOf(labels));
}

Verdict DispatchIndex::Judge(const Incident& incident) const { return JudgeLabels(LabelSet(incident)); }

Direction DispatchIndex::DirectionFor(const std::string& receiver, const Incident& incident) const {
  const LabelSet labels(incident);
  const auto it = firing_.find(incident.id);
  const bool known = it != firing_.end() && it->second->labels == labels;
  if (known) {
    for (std::size_t i = 0; i < routing_->receivers.size(); ++i) {
      if (routing_->receivers[i].name == receiver) return it->second->directions[i];
    }
    return {};
  }
  for (Decision& decision : JudgeLabels(labels).receivers) {
    if (decision.receiver == receiver) return std::move(decision.direction);
  }
  return {};
}

std::vector<const Incident*> DispatchIndex::WithFingerprint(const std::string& fingerprint) const {
  std::vector<const Incident*> found;
  for (const auto& [id, firing] : firing_) {
    if (firing->incident.fingerprint == fingerprint) found.push_back(&firing->incident);
  }
  std::sort(found.begin(), found.end(), [](const Incident* a, const Incident* b) {
    return std::tie(a->fired_at_ns, a->id) > std::tie(b->fired_at_ns, b->id);
  });
  for (auto it = over_.rbegin(); it != over_.rend(); ++it) {
    if (it->fingerprint == fingerprint) found.push_back(&*it);
  }
  return found;
}

void DispatchIndex::Settle() {
  for (const std::string& id : to_settle_) Settle(firing_.at(id).get(), false);
  to_settle_.clear();
}

// A receiver need not look again because of what it is told anyway.
void DispatchIndex::Settle(Firing* firing, bool changed_itself) {
  Verdict verdict = JudgeLabels(firing->labels);
  const std::vector<Direction> before = std::exchange(firing->directions, {});
  for (std::size_t i = 0; i < verdict.receivers.size(); ++i) {
    Decision& decision = verdict.receivers[i];
    const bool other = i >= before.size() || before[i] != decision.direction;
    if (other && !changed_itself) changed_.insert(decision.receiver);
    firing->directions.push_back(std::move(decision.direction));
  }
  const auto old = muted_.find(firing->incident.id);
  if (!verdict.silenced_by.empty() && (old == muted_.end() || old->second.silenced_by.empty())) ++silenced_total_;
  if (!verdict.inhibited_by.empty() && (old == muted_.end() || old->second.inhibited_by.empty())) ++inhibited_total_;
  if (verdict.silenced_by.empty() && verdict.inhibited_by.empty()) {
    if (old != muted_.end()) muted_.erase(old);
    return;
  }
  muted_[firing->incident.id] = {std::move(verdict.silenced_by), std::move(verdict.inhibited_by)};
}

std::vector<std::string> DispatchIndex::TakeChanged() {
  std::vector<std::string> names(changed_.begin(), changed_.end());
  changed_.clear();
  return names;
}

}  // namespace spanwatch::notify
