#include "sidecar/notify/transition_queue.h"

#include <algorithm>
#include <utility>

namespace spanwatch::notify {

using core::TransitionKind;

bool TransitionQueue::IsPlainUpdate(const Entry& entry) {
  return !entry.has_firing && entry.transition.kind == TransitionKind::kUpdated;
}

std::size_t TransitionQueue::Push(core::Transition transition) {
  const auto known = by_incident_.find(transition.incident.id);
  if (known != by_incident_.end()) {
    core::Transition& waiting = known->second->transition;
    // An update tells nothing about rises and falls: the stronger kind stays.
    if (transition.kind == TransitionKind::kUpdated) transition.kind = waiting.kind;
    waiting = std::move(transition);
    return 0;
  }
  const std::size_t dropped = entries_.size() >= limit_ ? MakeRoom() : 0;
  const bool has_firing = transition.kind == TransitionKind::kFiring;
  std::string id = transition.incident.id;
  entries_.push_back({std::move(transition), has_firing});
  by_incident_.emplace(std::move(id), std::prev(entries_.end()));
  return dropped;
}

std::size_t TransitionQueue::MakeRoom() {
  auto victim = std::find_if(entries_.begin(), entries_.end(), IsPlainUpdate);
  if (victim == entries_.end()) {
    victim = std::find_if(entries_.begin(), entries_.end(), [](const Entry& entry) {
      return entry.has_firing && entry.transition.kind == TransitionKind::kResolved;
    });
  }
  if (victim == entries_.end() && entries_.size() >= 2 * limit_) victim = entries_.begin();
  if (victim == entries_.end()) return 0;
  Erase(victim);
  return 1;
}

void TransitionQueue::Erase(List::iterator it) {
  by_incident_.erase(it->transition.incident.id);
  entries_.erase(it);
}

void TransitionQueue::DropResolved() {
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto next = std::next(it);
    if (it->transition.kind == TransitionKind::kResolved) Erase(it);
    it = next;
  }
}

std::vector<core::Transition> TransitionQueue::TakeAll() {
  std::vector<core::Transition> all;
  all.reserve(entries_.size());
  for (Entry& entry : entries_) all.push_back(std::move(entry.transition));
  entries_.clear();
  by_incident_.clear();
  return all;
}

}  // namespace spanwatch::notify
