// Rules and incidents. Event rules are judged as spans and traces arrive, window rules on the tick grid; both on the
// engine's own numbers. State machine per level (warning, critical): `for` and `keep_firing_for` mean what they mean in
// Prometheus; an incident's severity is its highest active level. Bounded by Limits::max_incidents, kMaxGroups and the
// room for groups; one rule cannot take all of either. A rule that finds no room marks itself. Not thread-safe.
//
// Budgets (tokens, cost) speak once a threshold: a level that fires falls only when the sum of the window is at or
// below the level under it (critical: the warning threshold), and the lowest one when it is at or below 9/10 of its own
// threshold; with direction below the same mirrored.
#ifndef SPANWATCH_SIDECAR_CORE_ALERTS_H_
#define SPANWATCH_SIDECAR_CORE_ALERTS_H_

#include <tsl/robin_map.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/core/alerts_rule_info.h"
#include "sidecar/core/blocks.h"
#include "sidecar/core/catalog.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/incident.h"
#include "sidecar/core/ledger.h"
#include "sidecar/core/rule_status.h"
#include "sidecar/core/rule_tags.h"
#include "sidecar/core/trace_store.h"
#include "sidecar/core/window_slots.h"

namespace spanwatch::core {

class Health;

// One thing that a rule on events looked at.
struct Event {
  Subject subject;
  double value = 0;
  TraceId trace_id;
  SpanId span_id;
  double trace_duration_ns = 0;
  std::string_view error_type, error_message;
  bool repeat = false;     // of a trace that was counted before
  std::string_view texts;  // of the rule's labels, if it keeps them
};

class Alerts {
 public:
  static constexpr std::size_t kMaxGroups = 16'000;  // of window rules, all together
  static constexpr std::uint64_t kMaxGroupBytes = 8u << 20;

  explicit Alerts(Catalog* catalog) : catalog_(catalog) {}

  // Replaces rules and limits. Rules with equal text keep their state; incidents of rules that went are resolved.
  void Configure(std::int64_t now_ns, const Limits& limits, std::shared_ptr<const RuleSet> rules);
  // Bytes that groups may take, within [1 MiB, kMaxGroupBytes].
  void SetRoom(std::uint64_t bytes);

  // What applies to spans of one operation, kind and status: made once, used for each span.
  struct Binding {
    std::int64_t min_duration_ns = INT64_MAX;  // no span.* rule can match at or below it
    std::vector<std::uint16_t> events;         // rules on span.*
    // Groups; or kPerSpan + a rule whose group is not known yet, or depends on the attributes of each span.
    std::vector<std::uint32_t> windows;
  };
  Binding Bind(const Subject& subject);
  std::uint64_t generation() const { return generation_; }  // bindings of an older one are void

  // True: an event rule matched.
  bool OnSpan(std::int64_t now_ns, const Binding& binding, const Subject& subject, const SpanBatch& batch,
              const SpanView& span);
  void OnWindows(std::int64_t now_ns, const Subject& subject, const SpanBatch& batch, const SpanView& span,
                 Binding* binding);
  void OnOpenSpan(std::int64_t now_ns, const Subject& subject, const SpanBatch& batch, const SpanView& span,
                  std::int64_t open_for_ns);
  // True if a rule on depth or span count may have been crossed: then call OnTrace(..., false).
  bool MayCross(const Trace& trace) const { return trace.depth > min_depth_ || trace.spans.size() > min_span_count_; }
  // Judges a trace: `complete` decides whether all trace rules are looked at or only depth and span count. An incident
  // is named after the trace's root; while that is not here, after `root` (a span that is still open) or, with null,
  // after the top of the tallest known chain. True: it was alerted on.
  bool OnTrace(std::int64_t now_ns, bool complete, const OpenSpan* root, Trace* trace);
  // The top of the tallest known chain of a trace with spans: its index.
  static std::uint32_t TopOf(const Trace& trace);

  // What the rules of a tick are given to look at.
  struct World {
    const TraceStore::Counts& store;
    const Ledger& ledger;
    const Health& health;
  };
  // Window rules and timers that are due at `now_ns`, a part of them. True: more is left for the next hold, which must
  // be the next call, with the same time.
  bool Advance(std::int64_t now_ns, const World& world);
  bool InPass() const { return pass_.running; }
  std::int64_t NextDue() const;
  // Nobody listened since `since_ns`: that time is no absence.
  void Resume(std::int64_t since_ns, std::int64_t now_ns);

  // All but rules, limits and bindings, as a checkpoint keeps it. Load, into alerts that have just been configured with
  // the rules of the checkpoint: false if the bytes are not such, or name an operation beyond the first `operations`.
  // REQUIRES of Save: not InPass().
  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in, std::size_t operations);
  void MovedTo(Catalog* catalog) { catalog_ = catalog; }

  // Forgets groups of window rules that were idle for longer than twice their window and have no incident; at most
  // 1000 at once. Bindings to them are void then.
  void ForgetIdle(std::int64_t now_ns);
  // Sets (*marks)[n] for each operation n that a group or an incident refers to.
  void MarkOperations(std::vector<bool>* marks) const;
  std::uint64_t group_bytes() const { return group_bytes_; }  // by formula
  std::size_t group_count() const { return groups_.size() - free_groups_.size(); }

  std::vector<Transition> TakeTransitions() { return std::move(transitions_); }
  std::size_t waiting_transitions() const { return transitions_.size(); }
  // Active incidents before *before (then the last one shown), newest first, at most `limit`; then resolved ones
  // likewise. Start with UINT64_MAX; nothing appended: there are no more.
  void ShowActive(std::size_t limit, std::uint64_t* before, std::vector<Incident>* out) const;
  void ShowResolved(std::int64_t now_ns, std::size_t limit, std::uint64_t* before, std::vector<Incident>* out) const;
  std::vector<RuleStatus> ShowRules(std::int64_t now_ns) const;  // in the order of the rules
  std::uint64_t resolutions() const { return resolved_end_; }    // grows with each
  std::uint64_t firing() const { return Count(AlertState::kFiring); }
  std::uint64_t pending() const { return Count(AlertState::kPending); }
  std::uint64_t dropped() const { return dropped_; }
  void NoteLost(std::uint64_t total_lost) { total_lost_ = total_lost; }
  const std::shared_ptr<const RuleSet>& rules() const { return rules_; }

 private:
  static constexpr std::uint32_t kPerSpan = 1u << 31;
  static constexpr std::int64_t kGiveUpNs = 86'400'000'000'000;  // who is missed for a day is not missed any more

  struct Group {                 // of a window rule
    std::uint32_t rule = kNone;  // kNone: free
    Subject subject;
    Counting counting = Counting::kNothing;
    std::uint64_t key = 0;
    bool watched = false;   // has an incident
    bool standing = false;  // there from the start, and for ever
    bool over = false;      // process.*: said goodbye, or none lives; absent, a low rate: given up
    std::string texts;      // of the rule's labels, if it keeps them
    WindowSlots slots;
    std::int64_t seen_ns = 0;  // absent, process.*: the latest sign; a low rate: counted since. 0: none yet
    double gauge = 0;          // process.memory
    TraceId trace;             // of durations and amounts the largest, else the latest failed one, or the latest
    SpanId span;
    double trace_value = 0;  // what was the largest
    std::int64_t trace_slot = 0;
    std::string last_error;
    std::uint64_t lost_before = 0;  // spans_lost: total at the last evaluation
    std::uint64_t bytes = 0;        // as counted in group_bytes_
  };
  struct Level {
    bool active = false;  // condition holds, or held within keep_firing_for
    bool firing = false;
    std::int64_t since_ns = 0;  // windows: first true
    std::int64_t last_ns = 0;   // events: last match; windows: first false since, while kept
    bool kept = false;          // windows: false now, kept firing
  };
  struct Active {
    std::uint64_t key = 0, serial = 0;
    std::uint32_t rule = 0;
    Subject subject;
    std::string texts;
    std::array<Level, 2> levels;  // warning, critical
    bool dirty = false;
    std::int64_t emitted_ns = 0;
    std::uint32_t transitions = 0;
    std::uint64_t lost_before = 0;
    std::string issues;  // service.health: why
    Incident incident;
  };
  struct Reading {  // what a window shows
    double value = 0;
    std::uint64_t spans = 0;
    bool enough = false;  // to say something, if there are spans or not
    bool early = false;   // to say so: what stands stays
    TraceId trace;
    SpanId span;
    double trace_duration_ns = 0;
    std::string_view last_error, issues;
  };
  struct ServiceToJudge {
    std::uint32_t rule = 0, service = 0;
    Subject subject;
  };
  struct Pass {  // over rules, services, groups, then the timers, of one tick
    bool running = false, timers = false;
    std::int64_t now_ns = 0;
    std::uint32_t rule = 0;
    std::vector<ServiceToJudge> services;
    std::size_t service = 0, group = 0, active = 0;
    std::vector<std::int64_t> next;  // by rule that is due: when again; 0: not due
  };

  const Rule& rule(std::uint32_t index) const { return rules_->rules[index]; }
  // --- alerts_labels.cc: matching, names of groups
  std::string_view LabelText(const RuleLabel& label, const Subject& subject) const;
  bool Applies(const Rule& rule, const Subject& subject) const;  // but for tags
  static bool TagsApply(const Rule& rule, const TagSource& tags);
  bool ServiceApplies(const Rule& rule, std::string_view service) const;
  // The texts of the labels of a rule that keeps them; else "".
  std::string TextsOf(std::uint32_t rule, const Subject& subject, const TagSource& tags) const;
  std::string ServiceTexts(std::uint32_t rule, std::string_view service) const;
  std::uint64_t KeyOf(std::uint32_t rule, const Subject& subject, std::string_view texts) const;
  std::vector<NameValue> LabelsOf(std::uint32_t rule, const Subject& subject, std::string_view texts) const;
  // --- alerts_groups.cc
  std::uint32_t GroupOf(std::uint32_t rule, const Subject& subject, std::string texts);
  bool HasRoom(std::uint32_t rule) const;
  void FreeGroup(std::uint32_t number);
  void Weigh(Group* group);
  void MakeStanding(std::uint32_t rule);
  void Summarise();
  void Carry(std::int64_t now_ns, const RuleSet& old);
  void CarryGroups(const std::vector<std::uint32_t>& renamed);
  // --- alerts_count.cc: spans into groups
  void CountPerSpan(std::int64_t now_ns, const Subject& subject, const TagSource& tags, const SpanView& span,
                    std::uint32_t* bound);
  void CountIn(std::int64_t now_ns, const SpanView& span, double amount, Group* group);
  void NoteTrace(const SpanView& span, double value, Group* group);
  void Turn(std::int64_t now_ns, Group* group);
  // --- alerts_window.cc
  void BeginPass(std::int64_t now_ns);
  void EndPass();
  bool RunRules(const World& world, std::size_t* budget);
  bool RunServices(const World& world, std::size_t* budget);
  bool RunGroups(const World& world, std::size_t* budget);
  bool RunTimers(std::size_t* budget);
  void EvaluateGroup(std::int64_t now_ns, const World& world, Group* group);
  Reading ReadGroup(std::int64_t now_ns, const World& world, Group* group);
  double BurnRate(std::int64_t now_ns, const Group& group, const WindowSlots::Counts& all) const;
  void LookForMissing(std::int64_t now_ns, Group* group, Reading* reading) const;
  void Want(std::uint32_t rule, std::int64_t at_ns);
  void WantNext(std::int64_t now_ns, const Group& group, double value);
  bool ListServices(std::uint32_t rule, const Health& health);
  bool EvaluateReading(std::int64_t now_ns, std::uint32_t rule, const Subject& subject, std::string_view texts,
                       std::uint64_t key, const Reading& reading);
  static bool Holds(const Rule& rule, Severity level, Severity severity, double value, const Level& state);
  static void StepLevel(std::int64_t now_ns, const Rule& rule, bool holds, Level* level);
  std::vector<std::uint32_t> FirstOperations() const;
  // --- alerts_process.cc
  void LookAtProcesses(std::int64_t now_ns, std::uint32_t rule, const Ledger& ledger);
  // --- alerts_trace.cc
  struct Named {  // what an incident on a trace is named after
    Subject subject;
    SpanId span;
    std::uint32_t index = kNone;  // of the stored span
  };
  static Named NameOf(const Trace& trace, const OpenSpan* root);
  struct Calls {  // the most of one operation under one parent
    double most = 0;
    SpanId parent;
  };
  Calls RepeatedCalls(const Trace& trace);
  bool TraceValue(std::uint32_t rule, const Trace& trace, double* value, SpanId* where);
  bool JudgeTrace(std::int64_t now_ns, std::uint32_t rule, double value, SpanId where, const OpenSpan* root,
                  Trace* trace);
  // --- alerts.cc: incidents
  void Judge(std::int64_t now_ns, std::uint32_t rule, const Event& event);
  void ExpireEvents(std::int64_t now_ns, Active* active);
  void Settle(std::int64_t now_ns, Active* active);
  Active* Find(std::uint64_t key);
  Active* Create(std::int64_t now_ns, std::uint64_t key, std::uint32_t rule, const Subject& subject,
                 std::string_view texts);
  bool MayCreate(std::uint32_t rule) const;
  void Emit(std::int64_t now_ns, TransitionKind kind, Active* active);
  void Publish(std::int64_t now_ns, TransitionKind kind, Active* active);
  void Resolve(std::int64_t now_ns, Active* active);
  void ResolveOrphan(std::int64_t now_ns, Active* active);
  void Render(Active* active) const;
  std::int64_t DueOf(const Active& active) const;
  std::uint64_t Count(AlertState state) const;
  void Sweep();
  void Fail(std::int64_t now_ns, std::uint32_t rule, RuleFailure failure);
  void FailUnpriced(std::int64_t now_ns, std::uint32_t rule, std::string_view model);
  // --- alerts_checkpoint.cc
  void SaveGroup(const Group& group, CodecWriter* out) const;
  bool LoadGroup(CodecReader* in, std::size_t operations, std::uint32_t number);
  bool LoadGroups(CodecReader* in, std::size_t operations);
  void SaveActive(const Active& active, CodecWriter* out) const;
  bool LoadActive(CodecReader* in, std::size_t operations);
  void SaveStates(CodecWriter* out) const;
  bool LoadStates(CodecReader* in);

  Catalog* catalog_;
  Limits limits_;
  std::shared_ptr<const RuleSet> rules_ = std::make_shared<RuleSet>();
  std::vector<RuleInfo> infos_;    // by rule
  std::vector<RuleState> states_;  // by rule
  std::uint32_t next_uid_ = 1;
  std::uint64_t generation_ = 0;
  std::uint32_t min_depth_ = UINT32_MAX;
  std::uint64_t min_span_count_ = UINT64_MAX;
  std::vector<std::uint16_t> trace_rules_, open_rules_, health_rules_, process_rules_;
  std::vector<std::int64_t> next_evaluation_;  // by rule; INT64_MAX for events, and while a rule sleeps
  Blocks<Group> groups_;
  std::vector<std::uint32_t> free_groups_;
  tsl::robin_map<std::uint64_t, std::uint32_t, U64Hash> group_index_;
  std::uint64_t group_bytes_ = 0, group_room_ = kMaxGroupBytes;
  std::vector<std::unique_ptr<Active>> active_;  // in order of creation; pending and firing
  tsl::robin_map<std::uint64_t, Active*, U64Hash> active_index_;
  std::uint64_t active_serial_ = 0;
  std::deque<Incident> resolved_;   // in order of resolution
  std::uint64_t resolved_end_ = 0;  // the number after the last of them
  std::vector<Transition> transitions_;
  std::int64_t timers_due_ = INT64_MAX;
  std::uint64_t total_lost_ = 0;
  std::uint64_t dropped_ = 0;
  std::int64_t resumed_ns_ = 0;  // the latest Resume()
  Pass pass_;
  Sketch scratch_;
  tsl::robin_map<std::uint64_t, std::uint32_t, U64Hash> calls_;  // scratch of RepeatedCalls()
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ALERTS_H_
