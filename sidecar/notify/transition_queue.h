// Transitions on their way to one receiver's planner. Of each incident only the latest state waits: the planner shows
// states, so an older one would be overwritten unseen. Not thread-safe.
//
// Full: the oldest waiting update goes first (the next one tells the same), then the oldest incident that both fired
// and ended while it waited. A firing or a resolution that somebody is waiting for goes only beyond twice the limit.
#ifndef SPANWATCH_SIDECAR_NOTIFY_TRANSITION_QUEUE_H_
#define SPANWATCH_SIDECAR_NOTIFY_TRANSITION_QUEUE_H_

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "sidecar/core/incident.h"

namespace spanwatch::notify {

class TransitionQueue {
 public:
  explicit TransitionQueue(std::size_t limit) : limit_(limit) {}

  void SetLimit(std::size_t limit) { limit_ = limit; }
  // Returns how many incidents' transitions were dropped to make room.
  std::size_t Push(core::Transition transition);
  // Drops those whose incident is over.
  void DropResolved();
  // All that waits, in the order in which the incidents first came. Leaves the queue empty.
  std::vector<core::Transition> TakeAll();
  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    core::Transition transition;
    bool has_firing = false;  // it began to fire while it waited
  };
  using List = std::list<Entry>;

  static bool IsPlainUpdate(const Entry& entry);
  std::size_t MakeRoom();
  void Erase(List::iterator it);

  std::size_t limit_;
  List entries_;
  std::unordered_map<std::string, List::iterator> by_incident_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_TRANSITION_QUEUE_H_
