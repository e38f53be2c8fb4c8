// Alert rules as the engine evaluates them: checked, with compiled matchers. config/ builds them from YAML; nothing
// here parses. Immutable once built and shared by pointer: any thread may read them.
#ifndef SPANWATCH_SIDECAR_CORE_RULE_H_
#define SPANWATCH_SIDECAR_CORE_RULE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spanwatch::core {

// What a rule looks at. Event measures are judged as spans and traces arrive; window measures on the tick grid.
enum class Measure : std::uint8_t {
  kSpanDuration,        // span.duration, ns
  kSpanOpenFor,         // span.open_for, ns: spans reported open
  kSpanMemoryDelta,     // span.memory_delta, bytes
  kSpanTag,             // span.tag(NAME), a number
  kTraceDuration,       // trace.duration, ns
  kTraceDepth,          // trace.depth, levels (the root is 1)
  kTraceSpanCount,      // trace.span_count
  kTraceErrorCount,     // trace.error_count
  kTraceMemoryDelta,    // trace.memory_delta, bytes
  kTraceRepeatedCalls,  // trace.repeated_calls: the most calls of one service and operation under one parent
  kErrorRate,           // error_rate, 0..1          (windows from here on)
  kErrorCount,          // error_count
  kRate,                // rate, spans per second
  kDurationAvg,         // duration.avg, ns
  kStoreFill,           // store.fill, 0..1: bytes stored / memory limit
  kSpansLost,           // spans_lost
  kServiceHealth,       // service.health, a HealthStatus
  kDurationP50,         // duration.p50, ns; error <= 1 %
  kDurationP90,
  kDurationP95,
  kDurationP99,
  kProcessMemory,     // process.memory, bytes: the largest RSS of the group's living processes
  kProcessSilentFor,  // process.silent_for, ns since the last sign of a process that said no goodbye
  kAbsent,            // absent, ns since the group's last span
  kTokens,            // tokens: gen_ai.usage.* of the window
  kCost,              // cost, US dollars, of spans with a known price
  kSloBurnRate,       // slo.burn_rate: how many times faster than allowed the error budget goes, over both windows
};

const char* ToString(Measure measure);  // "span.duration", ... as rules write it

inline constexpr bool IsWindow(Measure m) { return m >= Measure::kErrorRate; }
inline constexpr bool IsTrace(Measure m) { return m >= Measure::kTraceDuration && m <= Measure::kTraceRepeatedCalls; }

// Of these a rule says each threshold once: no repeats while it goes on.
inline constexpr bool IsBudget(Measure m) { return m == Measure::kTokens || m == Measure::kCost; }

enum class Unit : std::uint8_t { kNanoseconds, kBytes, kRatio, kPerSecond, kCount, kHealth, kDollars, kFactor };
inline constexpr Unit UnitOf(Measure m) {
  switch (m) {
    case Measure::kSpanDuration:
    case Measure::kSpanOpenFor:
    case Measure::kTraceDuration:
    case Measure::kDurationAvg:
    case Measure::kDurationP50:
    case Measure::kDurationP90:
    case Measure::kDurationP95:
    case Measure::kDurationP99:
    case Measure::kProcessSilentFor:
    case Measure::kAbsent:
      return Unit::kNanoseconds;
    case Measure::kSpanMemoryDelta:
    case Measure::kTraceMemoryDelta:
    case Measure::kProcessMemory:
      return Unit::kBytes;
    case Measure::kErrorRate:
    case Measure::kStoreFill:
      return Unit::kRatio;
    case Measure::kRate:
      return Unit::kPerSecond;
    case Measure::kServiceHealth:
      return Unit::kHealth;
    case Measure::kCost:
      return Unit::kDollars;
    case Measure::kSloBurnRate:
      return Unit::kFactor;
    default:
      return Unit::kCount;
  }
}

// "12.3 s", "120 MB" (2^20), "20 %", "3.5 /s", "17", "1.5 M", "critical", "$ 12.50", "14.4 x": what people read. Pure.
std::string FormatValue(double value, Unit unit);

enum class Direction : std::uint8_t { kAbove, kBelow };  // strict both, but for service.health: at that level or worse

enum class Severity : std::uint8_t { kNone = 0, kWarning = 1, kCritical = 2 };
const char* ToString(Severity severity);  // "none", "warning", "critical"

// What a rule can match and group by. A tag is an attribute of the span, else of its resource; of a trace, of the span
// that names it. Without the tag its value is empty.
enum class LabelSource : std::uint8_t { kService, kOperation, kKind, kStatus, kTag };
struct RuleLabel {
  RuleLabel(LabelSource s) : source(s) {}  // NOLINT: a label is its source, but for tags
  explicit RuleLabel(std::string key) : source(LabelSource::kTag), tag(std::move(key)) {}
  LabelSource source;
  std::string tag;           // kTag: the attribute's key
  std::string Text() const;  // as rules write it: "service", "operation", "kind", "status", "tag.gen_ai.system"
  std::string Name() const;  // as incidents are labelled: as Text(), a tag without "tag." and with '_' for what a label
                             // name may not have: "gen_ai_system"
  friend bool operator==(const RuleLabel&, const RuleLabel&) = default;
};

// A fully anchored pattern. Implementations are pure and may be called from any thread.
class StringMatcher {
 public:
  virtual ~StringMatcher() = default;
  virtual bool Matches(std::string_view text) const = 0;
  // The one text that it matches, if there is but one; of `absent` it says who is missed before he ever spoke.
  virtual std::optional<std::string_view> Literal() const { return std::nullopt; }
};

struct LabelMatcher {
  RuleLabel label = LabelSource::kService;
  std::shared_ptr<const StringMatcher> pattern;
};

struct NameValue {
  std::string name;
  std::string value;
  friend bool operator==(const NameValue&, const NameValue&) = default;
};

struct Rule {
  std::string group;  // groups[].name
  std::string alert;  // alertname
  Measure measure = Measure::kSpanDuration;
  std::string tag;                  // span.tag(NAME): the attribute's key
  std::vector<LabelMatcher> match;  // all must match; a window rule without a service (store.fill) has none
  std::vector<RuleLabel> by;        // groups of incidents; empty for store.fill and spans_lost
  Direction direction = Direction::kAbove;
  std::optional<double> warning;  // in UnitOf(measure); at least one of the two is set
  std::optional<double> critical;
  std::int64_t window_ns = 0;        // window measures only, > 0; slo.burn_rate: the long one
  std::int64_t short_window_ns = 0;  // slo.burn_rate only
  double objective = 0;              // slo.burn_rate only: the share of good spans that is promised, 0..1, below 1
  std::int64_t slower_than_ns = 0;   // slo.burn_rate only: slower spans are bad as failed ones are; 0: none are
  std::uint64_t min_count = 0;       // spans in the window below which a window rule says nothing
  std::int64_t for_ns = 0;           // window measures only
  std::int64_t keep_firing_for_ns = 0;
  std::vector<NameValue> labels;       // added to the incident
  std::vector<NameValue> annotations;  // templates (template.h)
  std::string text;                    // canonical text; equal text = the same rule on reload

  Severity Judge(double value) const {
    const auto over = [&](const std::optional<double>& t) {
      if (measure == Measure::kServiceHealth) return t && value >= *t;
      return t && (direction == Direction::kAbove ? value > *t : value < *t);
    };
    return over(critical) ? Severity::kCritical : over(warning) ? Severity::kWarning : Severity::kNone;
  }
};

struct RuleSet {
  std::vector<Rule> rules;  // at most kMaxRules
};
inline constexpr std::size_t kMaxRules = 256;

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_RULE_H_
