// The planner of a Discord webhook: one live message an incident.
//
// A message slot is one Discord message: of one incident, or of a fold (the incidents above a limit). An incident that
// is told has one live slot; a rise, a repeat or the end of its muting makes a new one, and the old one is cut to a
// link once the new one is posted. An incident that fires and is not told, because the routing gives it to others or
// mutes it, is tracked without a slot: the routing may change.
//
// Not thread-safe. Bounded: PlannerOptions::max_incidents tracked incidents, each with one live slot and at most a few
// to be cut; those that nobody is told of here make room for others.
#ifndef SPANWATCH_SIDECAR_NOTIFY_DISCORD_PLANNER_H_
#define SPANWATCH_SIDECAR_NOTIFY_DISCORD_PLANNER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/core/incident.h"
#include "sidecar/notify/critical_path.h"
#include "sidecar/notify/discord_card.h"
#include "sidecar/notify/discord_reply.h"
#include "sidecar/notify/planner.h"
#include "sidecar/notify/rate_limit.h"
#include "sidecar/notify/stored.h"

namespace spanwatch::notify {

class DiscordPlanner : public Planner {
 public:
  using Planner::Add;
  using Planner::Planner;

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
  std::int64_t TakeGlobalBlock() override;
  std::size_t Waiting(bool urgent_only) const override;
  std::vector<std::pair<std::string, core::Delivery>> Explain(std::size_t limit, std::int64_t now_ns,
                                                              std::int64_t wall_ns) const override;

  std::size_t TrackedIncidents() const { return incidents_.size(); }
  std::size_t Slots() const { return slots_.size(); }

 private:
  using SlotId = std::uint64_t;  // 0: none

  struct Slot {
    std::vector<std::string> members;  // incident ids; exactly one unless is_fold; none once replaced
    bool is_fold = false;
    std::vector<core::NameValue> group_labels;  // of a group's fold: what it is called after
    std::int64_t opened_ns = 0;
    std::int64_t group_interval_ns = 60'000'000'000, repeat_interval_ns = 14'400'000'000'000;
    Reason reason = Reason::kNew;  // why it was made; once replaced: why it was replaced
    std::string message_id, channel_id;
    std::string quiet;                                 // why it is quiet, as Discord has it; empty: it is not
    std::uint64_t edits = 0;                           // that went through
    bool posted = false;                               // Discord has it
    bool blind = false;                                // posted, but the answer named no id: it cannot be edited
    int reposts = 0;                                   // how often it had vanished
    core::Severity announced = core::Severity::kNone;  // the highest that its post has told
    std::uint64_t revision = 1;                        // of what it should show
    std::uint64_t urgent_revision = 1;
    std::uint64_t shown_revision = 0;
    std::size_t shown_hash = 0;
    std::uint64_t order = 0;  // among those waiting
    std::int64_t due_ns = 0;
    std::int64_t hold_ns = INT64_MIN;  // its post waits so long for others of its group
    std::int64_t waiting_since_ns = 0;
    std::int64_t posted_ns = 0, sent_ns = 0;
    int attempts = 0;  // in vain, since it last went through
    bool fallback = false;
    bool cut = false;  // is to be cut to a link
    bool has_predecessors = false;
    SlotId predecessor = 0, successor = 0;
    std::string earlier_link, newer_link;

    bool Dirty() const { return revision != shown_revision; }
    // Dirty, and there is something to send.
    bool Waits() const { return Dirty() && (cut || !members.empty()); }
    bool Urgent() const { return urgent_revision > shown_revision && !cut; }
  };
  struct Tracked {
    core::Incident incident;
    Direction direction;        // what the routing says of it
    SlotId slot = 0;            // 0: nothing tells about it
    std::uint64_t joined = 0;   // place among those of its slot
    std::uint64_t number = 0;   // of its latest transition within the incident
    std::uint64_t version = 0;  // grows with each change of what is stored
    bool unwatched = false;     // ended by a restart, not by itself
    bool inherited = false;     // this process's engine did not tell about it yet
  };
  struct SavedIncident {
    std::uint64_t version = 0;
    SlotId slot = 0;
    std::uint64_t joined = 0;
    friend bool operator==(const SavedIncident&, const SavedIncident&) = default;
  };
  struct Group {
    std::int64_t begin_ns = 0;
    std::int64_t hold_ns = INT64_MIN;  // the first messages wait so long for more to come
    std::size_t count = 0;
    SlotId fold = 0;
  };
  struct InFlight {
    SlotId slot = 0;
    Method method = Method::kPost;
    std::uint64_t revision = 0;
    std::size_t hash = 0;
    std::string quiet;  // what it says of that
  };

  // discord_planner_place.cc: which message tells about an incident.
  void Place(Tracked* tracked, std::int64_t now_ns);
  Group* GroupOf(const Tracked& tracked, std::int64_t now_ns);
  bool IsAlive(const std::string& group_key, const Tracked& but) const;
  static void SetTimes(const Tracked& tracked, Slot* slot);
  void JoinGroupFold(Tracked* tracked, Group* group, std::int64_t now_ns);
  void JoinReceiverFold(Tracked* tracked, std::int64_t now_ns);
  bool Storming(std::int64_t now_ns);
  SlotId NewSlot(bool is_fold, std::int64_t now_ns);
  void Join(Tracked* tracked, SlotId slot, std::int64_t now_ns);
  void Replace(SlotId old_id, Reason reason, std::int64_t now_ns);
  void MoveMembers(SlotId from, SlotId to);
  bool OpenForMembers(const Slot& slot, std::int64_t now_ns) const;
  bool MakeRoom(bool for_message);

  // discord_planner_store.cc
  void Encode(const Slot& slot, bool under_way, std::string* out) const;
  bool Decode(const std::string& body, std::int64_t now_ns, Slot* slot, bool* under_way) const;
  void DropLooseSlots();

  // discord_planner_route.cc: what the routing lets it say.
  static bool MayPost(const Tracked& tracked) { return tracked.direction.routed && !tracked.direction.muted; }
  bool MayPost(const Slot& slot) const;
  std::string Quiet(const Slot& slot) const;
  bool IsBegun(SlotId id) const;
  void Withdraw(Tracked* tracked, std::int64_t now_ns);
  bool Retract(SlotId id, std::int64_t now_ns);
  void Review(SlotId id, std::int64_t now_ns);
  bool GoBack(SlotId id, std::int64_t now_ns);

  // discord_planner_explain.cc
  core::Delivery ExplainSlot(const Slot& slot, std::int64_t now_ns, std::int64_t wall_ns) const;
  std::string WhyItWaits(const Slot& slot, std::int64_t now_ns, std::int64_t wall_ns) const;

  // discord_planner.cc: what each message should show.
  void Changed(const std::string& incident, std::int64_t now_ns);
  void RetireIfUntold(SlotId id, std::int64_t now_ns);
  void Show(SlotId id, const Tracked& changed, bool urgent, std::int64_t now_ns);
  void Touch(Slot* slot, bool urgent, std::int64_t now_ns);
  void Sweep(std::int64_t now_ns);
  bool IsTooOld(const Slot& slot, std::int64_t now_ns) const;
  bool RepeatDue(const Slot& slot, std::int64_t now_ns) const;
  bool AllResolved(const Slot& slot) const;
  std::vector<const core::Incident*> MembersOf(const Slot& slot) const;
  void Retire(SlotId id);
  void RetireIfOver(SlotId id, std::int64_t now_ns);

  // discord_planner_send.cc: one request and its answer.
  SlotId Pick(std::int64_t now_ns) const;
  std::int64_t SendableAt(const Slot& slot) const;
  bool NeedsGuild(const Slot& slot, std::int64_t now_ns) const;
  std::string Render(const Slot& slot, const std::string& quiet, const std::string& mention) const;
  std::string MentionOf(const Slot& slot) const;
  std::string LinkTo(SlotId id) const;
  void OnGuild(const Outcome& outcome);
  void Delivered(const InFlight& sent, const Outcome& outcome, std::int64_t now_ns);
  void CutPredecessors(SlotId id, std::int64_t now_ns);
  void Retry(const InFlight& sent, const Reply& reply, std::int64_t now_ns);
  void UnknownMessage(SlotId id, std::int64_t now_ns);
  void Refused(SlotId id, std::int64_t now_ns);
  void Fail(SlotId id, std::int64_t now_ns);
  void GiveUp();

  bool usable_ = false;
  std::map<std::string, Tracked> incidents_;
  std::map<SlotId, Slot> slots_;
  std::map<std::string, Group> groups_;
  std::deque<std::int64_t> recent_posts_;  // when the last `storm_messages` messages were begun
  SlotId receiver_fold_ = 0;
  SlotId last_slot_ = 0;
  std::uint64_t last_order_ = 0;
  std::uint64_t last_joined_ = 0;
  std::int64_t to_wall_ns_ = 0;  // monotonic time plus this is wall clock, as it was at the start
  bool saved_is_valid_ = false;
  std::map<SlotId, std::uint64_t> saved_slots_;  // hashes of what is stored
  std::map<std::string, SavedIncident> saved_incidents_;
  std::optional<InFlight> in_flight_;
  RateLimiter limiter_;
  int failures_ = 0;                              // in a row, of the receiver
  std::optional<std::int64_t> limited_since_ns_;  // nothing but 429 since then
  std::int64_t backing_off_until_ns_ = INT64_MIN;
  std::string guild_id_;  // of the webhook; links need it
  std::optional<std::int64_t> guild_asked_ns_;
  std::int64_t global_block_ns_ = 0;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_DISCORD_PLANNER_H_
