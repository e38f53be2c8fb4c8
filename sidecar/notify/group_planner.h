// The planner of a webhook.
//
// Format alertmanager: groups as Alertmanager has them. A group's first message waits for group_wait; after that it is
// looked at every group_interval, and sent if something began, ended or was not told for repeat_interval. A message
// holds all alerts of the group that fire and are not muted, and those that ended since the last one. What failed is
// repeated, always as the group stands by then; what was refused (4xx) is tried anew with the next interval.
// Format json: every incident is a group of its own, each change of it is told at once, and what was refused is
// dropped.
//
// Not thread-safe. Bounded by PlannerOptions::max_incidents; a message by kMaxAlerts and kMaxBytes (webhook_body.h).
#ifndef SPANWATCH_SIDECAR_NOTIFY_GROUP_PLANNER_H_
#define SPANWATCH_SIDECAR_NOTIFY_GROUP_PLANNER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sidecar/notify/alert_planner.h"
#include "sidecar/notify/webhook_body.h"

namespace spanwatch::notify {

class GroupPlanner : public AlertPlanner {
 public:
  explicit GroupPlanner(PlannerOptions options) : AlertPlanner(std::move(options)) {}

  std::size_t Waiting(bool urgent_only) const override;
  std::size_t Groups() const { return groups_.size(); }

  // Why a group is sent now, or that it is not.
  enum class Reason : std::uint8_t { kNothing, kFirst, kNewAlerts, kSomeResolved, kAllResolved, kRepeat };

 private:
  struct Group {
    std::string key;
    std::vector<core::NameValue> labels;
    std::set<std::string> members;  // ids of incidents
    // As the routing has it; it has none for what it gives to others now, but whose end is still to be told.
    std::int64_t interval_ns = 60'000'000'000, repeat_ns = 14'400'000'000'000;
    std::int64_t flush_ns = 0;  // when it is looked at next
    std::int64_t sent_ns = 0;   // when its last message went through; of sent > 0
    std::uint64_t sent = 0;     // messages that went through
    bool pending = false;       // it was looked at, and there is something to send
    std::int64_t pending_since_ns = 0;
    std::uint64_t order = 0;  // among those pending
  };

  void OnChange(Tracked* tracked, std::int64_t now_ns) override;
  void OnForget(const Tracked& tracked) override;
  void OnNewTarget(std::int64_t now_ns) override;
  std::optional<std::string> Compose(std::int64_t now_ns, std::vector<Sent>* sent) override;
  void OnAnswer(UrlVerdict verdict, const std::vector<Sent>& sent, std::int64_t now_ns) override;
  std::int64_t DueNs() const override;
  bool RepeatIsSeen() const override { return true; }
  void SaveGroups(std::vector<StoredSlot>* out) const override;
  bool LoadGroup(const StoredSlot& row, std::int64_t now_ns) override;

  bool IsJson() const { return options_.receiver.format == core::WebhookFormat::kJson; }
  void Quieten(Tracked* tracked);
  void MarkDue(Tracked* tracked);
  static void SetTimes(const Direction& direction, Group* group);
  void Leave(Tracked* tracked);
  void Join(Tracked* tracked, const std::string& key, std::int64_t now_ns);
  bool TellsEnd(const Group& group, const Level& level) const;
  Reason Look(const Group& group, std::int64_t now_ns) const;
  void Flush(GroupId id, std::int64_t now_ns);
  void Clean(GroupId id);
  void EraseIfEmpty(GroupId id);
  void Expire(const Group& group, std::int64_t now_ns);
  std::string Render(const Group& group, std::int64_t now_ns, std::vector<Sent>* sent) const;
  std::string RenderChange(const Group& group, std::vector<Sent>* sent) const;

  std::map<GroupId, Group> groups_;
  std::map<std::string, GroupId> by_key_;
  GroupId last_group_ = 0;
  std::uint64_t last_order_ = 0;
  GroupId under_way_ = 0;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_GROUP_PLANNER_H_
