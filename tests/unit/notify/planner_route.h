// A planner whose routing the test decides, incident by incident.
#ifndef SPANWATCH_TESTS_UNIT_NOTIFY_PLANNER_ROUTE_H_
#define SPANWATCH_TESTS_UNIT_NOTIFY_PLANNER_ROUTE_H_

#include <map>
#include <string>
#include <utility>

#include "tests/unit/notify/planner_harness.h"

namespace spanwatch::notify {

inline constexpr const char* kSilence = "silenced by ada until 14:05 UTC: deploy";

class PlannerRouteTest : public PlannerTest {
 protected:
  PlannerRouteTest() {
    base_.routed = true;
    base_.group_key = "g";
    base_.group_labels = {{"alertname", "SlowOperation"}};
    Set({});
  }

  // Which directions are given is decided by incident id; the others get `base_`.
  void Set(core::Receiver receiver) {
    PlannerOptions options = WithUrl({});
    options.receiver = std::move(receiver);
    options.receiver.name = "team";
    options.direct = [this](const core::Incident& incident) {
      const auto it = said_.find(incident.id);
      return it == said_.end() ? base_ : it->second;
    };
    planner_.SetOptions(options);
  }
  void Say(const std::string& id, const std::function<void(Direction*)>& change) {
    Direction direction = base_;
    change(&direction);
    said_[id] = direction;
    planner_.Redirect(now_);
  }
  void Mute(const std::string& id) {
    Say(id, [](Direction* d) {
      d->muted = true;
      d->muted_by = kSilence;
    });
  }
  void Unmute(const std::string& id) {
    said_.erase(id);
    planner_.Redirect(now_);
  }
  core::Delivery Explained(const std::string& id) {
    for (const auto& [incident, delivery] : planner_.Explain(100, now_, kEpoch + now_)) {
      if (incident == id) return delivery;
    }
    return {};
  }
  std::string State(const std::string& id) { return Explained(id).state; }
  std::string Detail(const std::string& id) { return Explained(id).detail; }

  Direction base_;
  std::map<std::string, Direction> said_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_TESTS_UNIT_NOTIFY_PLANNER_ROUTE_H_
