// Rules and incidents. Event rules are judged as spans and traces arrive, window rules on the tick grid; both on the
// engine's own numbers. State machine per level (warning, critical): `for` and `keep_firing_for` mean what they mean in
// Prometheus; an incident's severity is its highest active level. Bounded by Limits::max_incidents. Not thread-safe.
#ifndef SPANWATCH_SIDECAR_CORE_ALERTS_H_
#define SPANWATCH_SIDECAR_CORE_ALERTS_H_

#include <tsl/robin_map.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/core/catalog.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/incident.h"
#include "sidecar/core/ledger.h"
#include "sidecar/core/trace_store.h"

namespace spanwatch::core {

class Health;

// Where something happened. operation == kNone: nowhere in particular (store.fill).
struct Subject {
  std::uint32_t operation = kNone;
  SpanKind kind = SpanKind::kUnspecified;
  StatusCode status = StatusCode::kUnset;
};

// One thing that a rule on events looked at.
struct Event {
  Subject subject;
  double value = 0;
  TraceId trace_id;
  SpanId span_id;
  double trace_duration_ns = 0;
  std::string_view error_type, error_message;
  bool repeat = false;  // of a trace that was counted before
};

class Alerts {
 public:
  explicit Alerts(Catalog* catalog) : catalog_(catalog) {}

  // Replaces rules and limits. Rules with equal text keep their state; incidents of rules that went are resolved.
  void Configure(std::int64_t now_ns, const Limits& limits, std::shared_ptr<const RuleSet> rules);

  // What applies to spans of one operation, kind and status: made once, used for each span.
  struct Binding {
    std::int64_t min_duration_ns = INT64_MAX;  // no span.duration rule can match at or below it
    std::vector<std::uint16_t> events;         // rules on span.*
    std::vector<std::uint32_t> windows;        // indices of groups
  };
  Binding Bind(const Subject& subject);
  std::uint64_t generation() const { return generation_; }  // bindings of an older one are void

  // True: an event rule matched.
  bool OnSpan(std::int64_t now_ns, const Binding& binding, const Subject& subject, const SpanView& span);
  void OnWindows(std::int64_t now_ns, const Binding& binding, const SpanView& span);
  void OnOpenSpan(std::int64_t now_ns, const Subject& subject, const SpanView& span, std::int64_t open_for_ns);
  // True if a rule on depth or span count may have been crossed: then call OnTrace(..., false).
  bool MayCross(const Trace& trace) const { return trace.depth > min_depth_ || trace.spans.size() > min_span_count_; }
  // Judges a trace: `complete` decides whether all trace rules are looked at or only depth and span count. An incident
  // is named after the trace's root; while that is not here, after `root` (a span that is still open) or, with null,
  // after the top of the tallest known chain. True: it was alerted on.
  bool OnTrace(std::int64_t now_ns, bool complete, const OpenSpan* root, Trace* trace);
  // The top of the tallest known chain of a trace with spans: its index.
  static std::uint32_t TopOf(const Trace& trace);

  // Window rules and timers that are due at `now_ns`.
  void Advance(std::int64_t now_ns, const TraceStore::Counts& store, std::uint64_t total_lost, const Health& health);
  std::int64_t NextDue() const;

  // All but rules, limits and bindings, as a checkpoint keeps it. Load, into alerts that have just been configured with
  // the rules of the checkpoint: false if the bytes are not such, or name an operation beyond the first `operations`.
  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in, std::size_t operations);
  void MovedTo(Catalog* catalog) { catalog_ = catalog; }

  // Forgets groups of window rules that were idle for longer than twice their window and have no incident. Bindings
  // are void then.
  void ForgetIdle(std::int64_t now_ns);
  // Sets (*marks)[n] for each operation n that a group or an incident refers to.
  void MarkOperations(std::vector<bool>* marks) const;
  std::uint64_t group_bytes() const { return groups_.size() * (sizeof(Group) + 64); }

  std::vector<Transition> TakeTransitions() { return std::move(transitions_); }
  std::size_t waiting_transitions() const { return transitions_.size(); }
  std::vector<Incident> Show(std::int64_t now_ns) const;
  std::uint64_t firing() const { return Count(AlertState::kFiring); }
  std::uint64_t pending() const { return Count(AlertState::kPending); }
  std::uint64_t dropped() const { return dropped_; }
  void NoteLost(std::uint64_t total_lost) { total_lost_ = total_lost; }
  const std::shared_ptr<const RuleSet>& rules() const { return rules_; }

 private:
  static constexpr std::size_t kSlots = 60;
  struct Slot {
    std::int64_t number = -1;
    double total = 0, errors = 0, duration_ns = 0;
    std::uint32_t raw = 0;
  };
  struct Group {  // of a window rule
    std::uint32_t rule = 0;
    Subject subject;
    std::int64_t slot_ns = 1;  // window / 60
    std::int64_t newest = -1;  // slot number of the latest span
    bool watched = false;      // has an incident
    std::array<Slot, kSlots> slots;
    TraceId trace;  // the latest failed one, or the latest
    SpanId span;
    std::string last_error;
    std::uint64_t lost_before = 0;  // spans_lost: total at the last evaluation
  };
  struct Level {
    bool active = false;  // condition holds, or held within keep_firing_for
    bool firing = false;
    std::int64_t since_ns = 0;  // windows: first true
    std::int64_t last_ns = 0;   // events: last match; windows: first false since, while kept
    bool kept = false;          // windows: false now, kept firing
  };
  struct Active {
    std::uint64_t key = 0;
    std::uint32_t rule = 0;
    Subject subject;
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
    TraceId trace;
    SpanId span;
    std::string_view last_error, issues;
  };

  const Rule& rule(std::uint32_t index) const { return rules_->rules[index]; }
  static std::int64_t SlotNs(const Rule& rule) {
    return std::max<std::int64_t>(1, rule.window_ns / std::int64_t{kSlots});
  }
  bool Applies(const Rule& rule, const Subject& subject) const;
  std::uint64_t KeyOf(std::uint32_t rule, const Subject& subject) const;
  std::uint32_t GroupOf(std::uint32_t rule, const Subject& subject);
  void Judge(std::int64_t now_ns, std::uint32_t rule, const Event& event);
  struct Named {  // what an incident on a trace is named after
    Subject subject;
    SpanId span;
  };
  static Named NameOf(const Trace& trace, const OpenSpan* root);
  bool JudgeTrace(std::int64_t now_ns, std::uint32_t rule, double value, const OpenSpan* root, Trace* trace);
  double WindowValue(std::int64_t now_ns, const Group& group, std::uint64_t* raw) const;
  bool EvaluateRule(std::int64_t now_ns, std::uint32_t rule, const TraceStore::Counts& store);
  bool EvaluateHealth(std::int64_t now_ns, std::uint32_t rule, const Health& health);
  void EvaluateReading(std::int64_t now_ns, std::uint32_t rule, const Subject& subject, const Reading& reading);
  std::uint32_t OperationOf(std::uint32_t service) const;
  static void StepLevel(std::int64_t now_ns, const Rule& rule, bool holds, Level* level);
  void ExpireEvents(std::int64_t now_ns, Active* active);
  void Settle(std::int64_t now_ns, Active* active);
  Active* Find(std::uint64_t key);
  Active* Create(std::int64_t now_ns, std::uint64_t key, std::uint32_t rule, const Subject& subject);
  void Emit(std::int64_t now_ns, TransitionKind kind, Active* active);
  void Publish(std::int64_t now_ns, TransitionKind kind, Active* active);
  void Resolve(std::int64_t now_ns, Active* active);
  void ResolveOrphan(std::int64_t now_ns, Active* active);
  void Render(Active* active) const;
  std::int64_t DueOf(const Active& active) const;
  std::uint64_t Count(AlertState state) const;
  void Sweep();
  void SaveGroup(const Group& group, CodecWriter* out) const;
  bool LoadGroup(CodecReader* in, std::size_t operations);
  void SaveActive(const Active& active, CodecWriter* out) const;
  bool LoadActive(CodecReader* in, std::size_t operations);
  void Summarise();
  void Carry(std::int64_t now_ns, const RuleSet& old);

  Catalog* catalog_;
  Limits limits_;
  std::shared_ptr<const RuleSet> rules_ = std::make_shared<RuleSet>();
  std::uint64_t generation_ = 0;
  std::uint32_t min_depth_ = UINT32_MAX;
  std::uint64_t min_span_count_ = UINT64_MAX;
  std::vector<std::uint16_t> trace_rules_, open_rules_, health_rules_;
  std::vector<std::int64_t> next_evaluation_;  // by rule; INT64_MAX for events
  std::vector<Group> groups_;
  tsl::robin_map<std::uint64_t, std::uint32_t, U64Hash> group_index_;
  std::vector<std::unique_ptr<Active>> active_;  // in order of creation; pending and firing
  tsl::robin_map<std::uint64_t, Active*, U64Hash> active_index_;
  std::vector<Incident> resolved_;  // in order of resolution
  std::vector<Transition> transitions_;
  std::int64_t timers_due_ = INT64_MAX;
  std::uint64_t total_lost_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_ALERTS_H_
