// How well each service is: judged every 10 s of engine time on what it did in the last five minutes, with hysteresis.
// The rule stands in docs/health.md. Bounded by the catalog's services. Not thread-safe: the engine's mutex guards it.
#ifndef SPANWATCH_SIDECAR_CORE_HEALTH_H_
#define SPANWATCH_SIDECAR_CORE_HEALTH_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sidecar/core/blocks.h"
#include "sidecar/core/catalog.h"
#include "sidecar/core/codec.h"
#include "sidecar/core/engine.h"
#include "sidecar/core/health_view.h"
#include "sidecar/core/ledger.h"
#include "sidecar/core/span_batch.h"

namespace spanwatch::core {

inline constexpr std::int64_t kHealthSlotNs = 10'000'000'000;  // also: how often services are judged
inline constexpr std::size_t kHealthSlots = 30;
inline constexpr std::uint64_t kHealthMinSpans = 20;           // fewer in the window say nothing about rates
inline constexpr double kHealthSlowShare = 0.5;                // more of the spans than this make a service slow
inline constexpr std::int64_t kHealthHoldNs = 60'000'000'000;  // a status gets better after so long below it

// A reason for a status. What the numbers are depends on the kind.
struct HealthIssue {
  enum class Kind : std::uint8_t { kErrorRate, kSlow, kMemory, kDied, kSilent, kLost };
  Kind kind = Kind::kErrorRate;
  HealthStatus level = HealthStatus::kWarning;
  double part = 0, whole = 0;  // spans of spans, bytes, processes, lost spans
  double border = 0;           // the threshold that was crossed
  double average_ns = 0;       // kSlow
};
inline constexpr std::size_t kHealthIssueKinds = 6;
std::string IssueText(const HealthIssue& issue);  // "error rate 23 % over 5 min (46 of 200 spans), critical above 20 %"
const char* Recommendation(HealthIssue::Kind kind);

class Health {
 public:
  void Configure(const Limits& limits) { limits_ = limits; }
  // Each span that is counted, whether stored or not.
  void OnSpan(std::int64_t now_ns, std::uint32_t service, const SpanView& span) {
    if (service >= services_.size() || now_ns >= services_[service].slot_end_ns) Turn(now_ns, service);
    Service& entry = services_[service];
    const std::int64_t duration_ns = std::max<std::int64_t>(0, span.end_ns - span.start_ns);
    const bool failed = span.status == StatusCode::kError;
    if (failed || duration_ns > limits_.slow_warning_ns || span.end_ns < now_ns - kStaleNs) {
      if (span.end_ns < now_ns - kStaleNs) return;
      NoteBad(duration_ns, failed, span, &entry);
    }
    entry.current.spans += span.weight;
    entry.current.duration_ns += span.weight * static_cast<double>(duration_ns);
    ++entry.current.raw;
  }
  // Engine time at which Advance() has something to do; INT64_MAX: nothing.
  std::int64_t NextDue() const { return due_ns_; }
  // Judges some services that are due; true: it did.
  bool Advance(std::int64_t now_ns, const Catalog& catalog, const Ledger& ledger);
  void ForgetService(std::uint32_t number);  // its number is free: others may get it
  std::uint64_t bytes() const;               // by formula

  // As of the latest judgement. Numbers run below size().
  struct Verdict {
    HealthStatus status = HealthStatus::kHealthy;
    std::uint64_t spans = 0;  // seen in the window
    TraceId trace;            // of the latest failed span, or the latest slow one; may be invalid
    SpanId span;
    std::string_view error;  // the latest of the window; empty: none. Valid until the next span
  };
  std::size_t size() const { return services_.size(); }
  std::size_t unhealthy() const { return unhealthy_; }
  Verdict VerdictOf(std::uint32_t service) const;
  std::string Issues(std::uint32_t service) const;  // joined by "; "
  // False: the number is not in use. Figures are of the five minutes before `now_ns`.
  bool Show(std::int64_t now_ns, std::uint32_t service, const Catalog& catalog, ServiceHealth* out) const;

  void Save(CodecWriter* out) const;
  bool Load(CodecReader* in, std::size_t services);  // into a fresh object; false: not such bytes

 private:
  static constexpr std::int64_t kStaleNs = 300'000'000'000;  // spans that ended longer ago do not count
  struct Slot {
    std::int64_t number = 0;
    double spans = 0, errors = 0, duration_ns = 0, slow_warning = 0, slow_critical = 0;
    std::uint64_t raw = 0;
  };
  struct PastSlot {  // half the bytes: whole numbers up to 2^24 are exact
    std::uint32_t number = 0, raw = 0;
    float spans = 0, errors = 0, duration_ns = 0, slow_warning = 0, slow_critical = 0;
  };
  struct Level {
    std::int64_t held_ns = INT64_MIN;  // the latest judgement that reached it; INT64_MIN: it is over
    std::vector<HealthIssue> issues;   // of that judgement
  };
  struct Service {
    bool live = false;
    HealthStatus status = HealthStatus::kHealthy;
    std::int64_t slot_end_ns = INT64_MIN;  // of `current`
    std::int64_t since_ns = 0;
    std::array<Level, 2> levels;  // warning, critical
    std::uint64_t judged_spans = 0;
    TraceId trace;
    SpanId span;
    bool trace_failed = false;
    std::string error;  // of the latest failed span
    Slot current;
    std::vector<PastSlot> past;  // those with spans, oldest first; at most kHealthSlots
  };

  void Turn(std::int64_t now_ns, std::uint32_t service);
  void NoteBad(std::int64_t duration_ns, bool failed, const SpanView& span, Service* service) const;
  static Slot Sum(const Service& service, std::int64_t first, std::int64_t last);
  std::vector<HealthIssue> Find(const Slot& sum, const ServiceTroubles& troubles) const;
  void Judge(std::int64_t now_ns, const ServiceTroubles& troubles, Service* service);
  const std::vector<HealthIssue>* IssuesOf(std::uint32_t service) const;
  void SaveService(const Service& service, CodecWriter* out) const;
  static bool LoadService(CodecReader* in, Service* service);

  Limits limits_;
  std::int64_t due_ns_ = INT64_MAX;
  bool judging_ = false;  // Advance() is on its way; next_: the service to go on with
  std::uint32_t next_ = 0;
  std::map<std::string_view, ServiceTroubles> troubles_;
  std::size_t unhealthy_ = 0;
  Blocks<Service, 4> services_;  // by the catalog's number
};

}  // namespace spanwatch::core

#endif  // SPANWATCH_SIDECAR_CORE_HEALTH_H_
