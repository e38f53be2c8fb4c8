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
  kSpanDuration,      // span.duration, ns
  kSpanOpenFor,       // span.open_for, ns: spans reported open
  kSpanMemoryDelta,   // span.memory_delta, bytes
  kTraceDuration,     // trace.duration, ns
  kTraceDepth,        // trace.depth, levels (the root is 1)
  kTraceSpanCount,    // trace.span_count
  kTraceErrorCount,   // trace.error_count
  kTraceMemoryDelta,  // trace.memory_delta, bytes
  kErrorRate,         // error_rate, 0..1          (windows from here on)
  kErrorCount,        // error_count
  kRate,              // rate, spans per second
  kDurationAvg,       // duration.avg, ns
  kStoreFill,         // store.fill, 0..1: bytes stored / memory limit
  kSpansLost,         // spans_lost
  kServiceHealth,     // service.health, a HealthStatus
};

const char* ToString(Measure measure);  // "span.duration", ... as rules write it

inline constexpr bool IsWindow(Measure m) { return m >= Measure::kErrorRate; }
inline constexpr bool IsTrace(Measure m) { return m >= Measure::kTraceDuration && m <= Measure::kTraceMemoryDelta; }

enum class Unit : std::uint8_t { kNanoseconds, kBytes, kRatio, kPerSecond, kCount, kHealth };
inline constexpr Unit UnitOf(Measure m) {
  switch (m) {
    case Measure::kSpanDuration:
    case Measure::kSpanOpenFor:
    case Measure::kTraceDuration:
    case Measure::kDurationAvg:
      return Unit::kNanoseconds;
    case Measure::kSpanMemoryDelta:
    case Measure::kTraceMemoryDelta:
      return Unit::kBytes;
    case Measure::kErrorRate:
    case Measure::kStoreFill:
      return Unit::kRatio;
    case Measure::kRate:
      return Unit::kPerSecond;
    case Measure::kServiceHealth:
      return Unit::kHealth;
    default:
      return Unit::kCount;
  }
}

// "12.3 s", "120 MB" (2^20), "20 %", "3.5 /s", "17", "critical": what people read. Pure.
std::string FormatValue(double value, Unit unit);

enum class Direction : std::uint8_t { kAbove, kBelow };  // strict both, but for service.health: at that level or worse

enum class Severity : std::uint8_t { kNone = 0, kWarning = 1, kCritical = 2 };
const char* ToString(Severity severity);  // "none", "warning", "critical"

// Labels that a rule can match and group by.
enum class RuleLabel : std::uint8_t { kService, kOperation, kKind, kStatus };
const char* ToString(RuleLabel label);  // "service", "operation", "kind", "status"

// A fully anchored pattern. Implementations are pure and may be called from any thread.
class StringMatcher {
 public:
  virtual ~StringMatcher() = default;
  virtual bool Matches(std::string_view text) const = 0;
};

struct LabelMatcher {
  RuleLabel label = RuleLabel::kService;
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
  std::vector<LabelMatcher> match;  // all must match; a window rule without a service (store.fill) has none
  std::vector<RuleLabel> by;        // groups of incidents; empty for store.fill and spans_lost
  Direction direction = Direction::kAbove;
  std::optional<double> warning;  // in UnitOf(measure); at least one of the two is set
  std::optional<double> critical;
  std::int64_t window_ns = 0;   // window measures only, > 0
  std::uint64_t min_count = 0;  // spans in the window below which a window rule says nothing
  std::int64_t for_ns = 0;      // window measures only
  std::int64_t keep_firing_for_ns = 0;
  std::vector<NameValue> labels;       // added to the incident
  std::vector<NameValue> annotations;  // templates: {{ operation }}, {{ value }}, {{ threshold }}, {{ service }}, {{
                                       // severity }}, {{ count }}, {{ issues }} (service.health)
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
