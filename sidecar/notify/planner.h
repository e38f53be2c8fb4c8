// Decides what one receiver is sent and when: a state machine stepped by its caller, who does the sending. It keeps the
// state that the receiver should see and makes requests until it does, so whatever was superseded while it waited is
// never sent. No I/O, no clock: `now_ns` is any monotonic time, `wall_ns` nanoseconds since the epoch. One kind of
// receiver, one planner: DiscordPlanner, GroupPlanner.
//
// Not thread-safe. Bounded by PlannerOptions::max_incidents.
#ifndef SPANWATCH_SIDECAR_NOTIFY_PLANNER_H_
#define SPANWATCH_SIDECAR_NOTIFY_PLANNER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/core/routing.h"
#include "sidecar/notify/critical_path.h"
#include "sidecar/notify/direction.h"
#include "sidecar/notify/exchange.h"
#include "sidecar/notify/stored.h"

namespace spanwatch::notify {

struct PlannerOptions {
  core::Receiver receiver;
  std::string external_url;                     // without a '/' at its end
  std::int64_t max_age_ns = 3'600'000'000'000;  // what kept failing for so long is dropped
  std::size_t group_burst = 3;                  // Discord: incidents of a group posted on their own in a group interval
  std::size_t max_incidents = 4096;
  std::function<bool(const TraceId&)> trace_stored;            // may be null
  std::function<CriticalPath(const core::Incident&)> path_of;  // of its worst trace; may be null, may be slow
  Direct direct;                                               // may be null
  std::int64_t to_wall_ns = 0;  // wall clock less the monotonic time of the calls, as it was when the options were made
};

struct PlannerCounters {
  std::uint64_t posted = 0, edited = 0, failed = 0, retried = 0, rate_limited = 0, fallbacks = 0, dropped = 0;
  std::uint64_t possible_duplicates = 0;
};

class Planner {
 public:
  explicit Planner(PlannerOptions options) : options_(std::move(options)) {}
  virtual ~Planner() = default;
  // `former` with other options; if these are of another kind of receiver, a planner of that kind, which goes on with
  // the incidents that `former` tracks. SetTarget must follow.
  static std::unique_ptr<Planner> Adapt(std::unique_ptr<Planner> former, PlannerOptions options, std::int64_t now_ns,
                                        std::int64_t wall_ns);
  virtual void SetOptions(PlannerOptions options) { options_ = std::move(options); }
  // `usable`: there is somewhere to send to. `same_target` false forgets what the former one was told: incidents that
  // still fire are told anew. Ends having given up.
  virtual void SetTarget(bool usable, bool same_target, std::int64_t now_ns) = 0;

  // `inherited`: it was decided before this process began.
  virtual void Add(const core::Transition& transition, std::int64_t now_ns, bool inherited) = 0;
  void Add(const core::Transition& transition, std::int64_t now_ns) { Add(transition, now_ns, false); }
  // What is shown beside the incident became different; that is worth an edit as growth is, no more.
  virtual void Refresh(const std::string& incident, std::int64_t now_ns) = 0;
  // PlannerOptions::direct says something else now: of any incident.
  virtual void Redirect(std::int64_t now_ns) = 0;

  // Once, before anything else: goes on from what an earlier process left. Requests that were under way when it died
  // count as possible duplicates. Returns how many rows could not be read. SetTarget must follow.
  virtual std::size_t Load(const StoredReceiver& stored, std::int64_t now_ns, std::int64_t wall_ns) = 0;
  // After a restart: inherited incidents that fire here and are not among `living` are shown as ended, because nobody
  // watches them any more. `tell_living`: what fires there and is not known here is told, although its transition may
  // be long past.
  virtual void Reconcile(const std::vector<core::Incident>& living, bool tell_living, std::int64_t now_ns) = 0;
  // What is to be stored, as it differs from the last call's. ForgetSaved: the next call gives everything.
  virtual Changes TakeChanges() = 0;
  virtual void ForgetSaved() = 0;

  // The next request to send, if one may be sent now; its outcome must be told by OnReply before the next one is given.
  virtual std::optional<Request> Next(std::int64_t now_ns) = 0;
  virtual void OnReply(const Reply& reply, std::int64_t now_ns, std::int64_t wall_ns) = 0;
  // When Next() is worth another try; INT64_MAX: not before something changes.
  virtual std::int64_t NextDue() const = 0;

  // Other receivers at the same address must not send before this (0: nothing new). Cleared by the call.
  virtual std::int64_t TakeGlobalBlock() { return 0; }
  // What is not shown yet. `urgent_only`: without what may be late.
  virtual std::size_t Waiting(bool urgent_only) const = 0;
  // How each incident stands here: Delivery::state and detail, by incident id, at most `limit` of them.
  virtual std::vector<std::pair<std::string, core::Delivery>> Explain(std::size_t limit, std::int64_t now_ns,
                                                                      std::int64_t wall_ns) const = 0;

  bool given_up() const { return given_up_; }
  const std::string& last_error() const { return last_error_; }
  std::int64_t last_delivered_wall_ns() const { return last_delivered_wall_ns_; }
  const PlannerCounters& counters() const { return counters_; }

 protected:
  Planner(const Planner&) = default;
  Planner& operator=(const Planner&) = default;

  Direction DirectionOf(const core::Incident& incident) const;
  // The number in "<incident id>/3/escalated"; 0 if there is none.
  static std::uint64_t NumberOf(const core::Transition& transition);

  PlannerOptions options_;
  bool given_up_ = false;
  std::string last_error_;
  std::int64_t last_delivered_wall_ns_ = 0;
  PlannerCounters counters_;
};

// The planner of options.receiver.kind.
std::unique_ptr<Planner> MakePlanner(PlannerOptions options);

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_PLANNER_H_
