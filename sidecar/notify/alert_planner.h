// What the planners of webhooks and of Alertmanager have in common: incidents as alerts, one a severity
// (alertmanager_alert.h), what of them was told, one request at a time with back-off, and all of it through restarts.
//
// Not thread-safe. Bounded by PlannerOptions::max_incidents.
#ifndef SPANWATCH_SIDECAR_NOTIFY_ALERT_PLANNER_H_
#define SPANWATCH_SIDECAR_NOTIFY_ALERT_PLANNER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/notify/alertmanager_alert.h"
#include "sidecar/notify/planner.h"
#include "sidecar/notify/url_channel_reply.h"

namespace spanwatch::notify {

class AlertPlanner : public Planner {
 public:
  using Planner::Add;

  void SetOptions(PlannerOptions options) override;
  void SetTarget(bool usable, bool same_target, std::int64_t now_ns) override;
  void Add(const core::Transition& transition, std::int64_t now_ns, bool inherited) override;
  void Refresh(const std::string& incident, std::int64_t now_ns) override;
  void Redirect(std::int64_t now_ns) override;
  std::size_t Load(const StoredReceiver& stored, std::int64_t now_ns, std::int64_t wall_ns) override;
  void Reconcile(const std::vector<core::Incident>& living, bool tell_living, std::int64_t now_ns) override;
  Changes TakeChanges() override;
  void ForgetSaved() override;
  std::optional<Request> Next(std::int64_t now_ns) override;
  void OnReply(const Reply& reply, std::int64_t now_ns, std::int64_t wall_ns) override;
  std::int64_t NextDue() const override;
  std::vector<std::pair<std::string, core::Delivery>> Explain(std::size_t limit, std::int64_t now_ns,
                                                              std::int64_t wall_ns) const override;

  std::size_t TrackedIncidents() const { return incidents_.size(); }

 protected:
  using GroupId = std::uint64_t;  // 0: none

  enum class Told : std::uint8_t {
    kNone,
    kDue,       // it is to be told, or was tried in vain: its end will be told too
    kFiring,    // the other side knows that it fires
    kQuiet,     // it knew, before a silence or an inhibition began
    kResolved,  // it knows that it is over
  };
  // One alert: the incident while it was of that severity.
  struct Level {
    core::Severity severity = core::Severity::kNone;
    std::int64_t starts_ns = 0;  // wall clock, as in the incident
    std::int64_t ends_ns = 0;    // 0: it fires
    Told told = Told::kNone;
    std::int64_t sent_ns = INT64_MIN;       // monotonic; when it was last told
    std::int64_t first_end_ns = INT64_MIN;  // monotonic; when its end was first told
    std::int64_t told_wall_ns = 0;          // for people

    bool Fires() const { return ends_ns == 0; }
    bool Begun() const { return told == Told::kDue || told == Told::kFiring || told == Told::kQuiet; }
  };
  struct Tracked {
    core::Incident incident;
    std::vector<Level> levels;  // in the order in which they began
    Direction direction;
    GroupId group = 0;
    std::uint64_t number = 0;   // of its latest transition within the incident
    std::uint64_t version = 0;  // grows with each change of what is stored
    bool unwatched = false;     // ended by a restart, not by itself
    bool inherited = false;     // this process's engine did not tell about it yet

    bool Fires() const { return incident.state != core::AlertState::kResolved; }
    // A firing level of it may be told.
    bool MayFire(const Level& level) const {
      return !direction.muted && (direction.routed || level.told == Told::kFiring);
    }
  };
  // One alert of a request under way, as it stands there.
  struct Sent {
    std::string incident;
    core::Severity severity = core::Severity::kNone;
    Told told = Told::kFiring;  // what the other side knows once it has it: kFiring, kQuiet or kResolved
  };

  explicit AlertPlanner(PlannerOptions options) : Planner(std::move(options)) { to_wall_ns_ = options_.to_wall_ns; }

  // The incident, its levels or its direction became different.
  virtual void OnChange(Tracked* tracked, std::int64_t now_ns) = 0;
  // It is about to be forgotten.
  virtual void OnForget(const Tracked& tracked) = 0;
  // Nothing that was told before counts; OnChange follows for each.
  virtual void OnNewTarget(std::int64_t now_ns) = 0;
  // The next request's body if one may be sent now; `sent` is what it tells.
  virtual std::optional<std::string> Compose(std::int64_t now_ns, std::vector<Sent>* sent) = 0;
  // The answer to the last request. Of `sent` all that is still there was marked already if it was delivered.
  virtual void OnAnswer(UrlVerdict verdict, const std::vector<Sent>& sent, std::int64_t now_ns) = 0;
  // When Compose is worth a try, not counting back-off.
  virtual std::int64_t DueNs() const = 0;
  // A second delivery of the same is seen by people.
  virtual bool RepeatIsSeen() const = 0;
  virtual void SaveGroups(std::vector<StoredSlot>* out) const = 0;
  virtual bool LoadGroup(const StoredSlot& row, std::int64_t now_ns) = 0;

  std::int64_t ToWall(std::int64_t now_ns) const { return now_ns + to_wall_ns_; }
  std::int64_t FromWall(std::int64_t wall_ns) const { return wall_ns - to_wall_ns_; }
  Level* FindLevel(const Sent& sent);
  void Direct(Tracked* tracked);
  // All of the incident is over, and the other side could not be told for PlannerOptions::max_age_ns.
  bool IsTooOld(const Tracked& tracked, const Level& level, std::int64_t now_ns) const;
  // Drops the levels of which nothing is to be told any more; true if the incident was forgotten with its last one.
  bool Forget(const std::string& id, const std::function<bool(const Tracked&, const Level&)>& over);

  bool usable_ = false;
  std::map<std::string, Tracked> incidents_;
  BackOff back_off_;
  bool in_flight_ = false;
  std::int64_t now_ns_ = INT64_MIN;  // of the latest call that brought it

 private:
  struct SavedIncident {
    std::uint64_t version = 0;
    GroupId group = 0;
    friend bool operator==(const SavedIncident&, const SavedIncident&) = default;
  };

  static void Follow(Tracked* tracked, std::int64_t at_ns);
  bool MakeRoom(bool for_firing);
  void Mark(const Sent& sent, std::int64_t now_ns, std::int64_t wall_ns);
  void Encode(const Tracked& tracked, std::string* out) const;
  bool Decode(const StoredIncident& row, Tracked* tracked) const;
  core::Delivery Explain(const Tracked& tracked, std::int64_t now_ns, std::int64_t wall_ns) const;

  std::int64_t to_wall_ns_ = 0;
  std::vector<Sent> sent_;  // of the request under way
  bool saved_is_valid_ = false;
  std::map<GroupId, std::uint64_t> saved_groups_;  // hashes of what is stored
  std::map<std::string, SavedIncident> saved_incidents_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_ALERT_PLANNER_H_
