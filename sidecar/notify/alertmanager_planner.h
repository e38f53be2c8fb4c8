// The planner of an Alertmanager: behaves as a Prometheus server does. What fires is sent at once and again every
// resend interval, each time to end four intervals later, so that it ends there if nobody sends it any more; what ended
// is sent for another 15 minutes. Alertmanager groups, waits and repeats by itself. What a silence or an inhibition of
// ours mutes ends there, and fires anew when the muting is over.
//
// Not thread-safe. Bounded by PlannerOptions::max_incidents; a request by kMaxBatch alerts and kMaxBytes.
#ifndef SPANWATCH_SIDECAR_NOTIFY_ALERTMANAGER_PLANNER_H_
#define SPANWATCH_SIDECAR_NOTIFY_ALERTMANAGER_PLANNER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/notify/alert_planner.h"

namespace spanwatch::notify {

class AlertmanagerPlanner : public AlertPlanner {
 public:
  static constexpr std::size_t kMaxBatch = 256;  // as Prometheus
  static constexpr std::int64_t kKeepResolvedNs = 900'000'000'000;

  explicit AlertmanagerPlanner(PlannerOptions options) : AlertPlanner(std::move(options)) {}

  std::size_t Waiting(bool urgent_only) const override;

 private:
  void OnChange(Tracked* tracked, std::int64_t now_ns) override;
  void OnForget(const Tracked& tracked) override;
  void OnNewTarget(std::int64_t) override {}
  std::optional<std::string> Compose(std::int64_t now_ns, std::vector<Sent>* sent) override;
  void OnAnswer(UrlVerdict verdict, const std::vector<Sent>& sent, std::int64_t now_ns) override;
  std::int64_t DueNs() const override;
  bool RepeatIsSeen() const override { return false; }
  void SaveGroups(std::vector<StoredSlot>*) const override {}
  bool LoadGroup(const StoredSlot&, std::int64_t) override { return false; }

  // What is to be told of a level, and when.
  struct Plan {
    Told told = Told::kNone;  // kNone: nothing
    bool is_news = false;     // else it is told again
    std::int64_t due_ns = INT64_MAX;
  };
  struct Entry {
    Tracked* tracked = nullptr;
    Level* level = nullptr;
    Plan plan;
  };
  // What the next request tells, in its order; empty: nothing is due.
  std::vector<Entry> Due(std::int64_t now_ns);
  std::int64_t EndOf(const Entry& entry, std::int64_t wall_ns) const;
  Plan PlanOf(const Tracked& tracked, const Level& level) const;
  bool IsOver(const Tracked& tracked, const Level& level, std::int64_t now_ns) const;
  void ForgetOver(const std::string& id, std::int64_t now_ns);
  bool FiresAnew(const Tracked& tracked, const Level& level) const;

  std::map<std::string, std::string> latest_;  // incident by fingerprint
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_ALERTMANAGER_PLANNER_H_
