#include "sidecar/core/health.h"

#include <utility>

#include "sidecar/core/error_text.h"

namespace spanwatch::core {
namespace {

constexpr auto kWindowSlots = static_cast<std::int64_t>(kHealthSlots);
constexpr std::size_t kServicesPerStep = 200;
constexpr std::uint64_t kServiceBytes = 16;  // of malloc and the list, by service

// The worse of two levels that `value` is strictly above; nothing: below both.
HealthStatus LevelOf(double value, double warning, double critical) {
  return value > critical ? HealthStatus::kCritical : value > warning ? HealthStatus::kWarning : HealthStatus::kHealthy;
}

std::string Count(double count) { return FormatValue(count, Unit::kCount); }

std::string Processes(double count) { return Count(count) + (count == 1 ? " process" : " processes"); }

HealthStatus Worst(const std::vector<HealthIssue>& issues) {
  HealthStatus worst = HealthStatus::kHealthy;
  for (const HealthIssue& issue : issues) worst = std::max(worst, issue.level);
  return worst;
}

}  // namespace

const char* ToString(HealthStatus status) {
  constexpr const char* kNames[] = {"healthy", "warning", "critical"};
  return kNames[static_cast<int>(status)];
}

std::string IssueText(const HealthIssue& issue) {
  const std::string level = ToString(issue.level);
  const double rate = issue.whole > 0 ? issue.part / issue.whole : 0;
  const std::string of = Count(issue.part) + " of " + Count(issue.whole);
  switch (issue.kind) {
    case HealthIssue::Kind::kErrorRate:
      return "error rate " + FormatValue(rate, Unit::kRatio) + " over 5 min (" + of + " spans), " + level + " above " +
             FormatValue(issue.border, Unit::kRatio);
    case HealthIssue::Kind::kSlow:
      return FormatValue(rate, Unit::kRatio) + " of the spans took longer than " +
             FormatValue(issue.border, Unit::kNanoseconds) + " over 5 min (" + of + ", average " +
             FormatValue(issue.average_ns, Unit::kNanoseconds) + "), " + level + " above " +
             FormatValue(kHealthSlowShare, Unit::kRatio);
    case HealthIssue::Kind::kMemory:
      return "a process grew by " + FormatValue(issue.part, Unit::kBytes) + " in 5 min, " + level + " above " +
             FormatValue(issue.border, Unit::kBytes);
    case HealthIssue::Kind::kDied:
      return Processes(issue.part) + " died without goodbye in the last 5 min, " +
             (issue.whole > 0                          ? Count(issue.whole) + " alive"
              : issue.level == HealthStatus::kCritical ? "none is alive"
                                                       : "the others are silent");
    case HealthIssue::Kind::kSilent:
      return of + (issue.whole == 1 ? " process" : " processes") + (issue.part == 1 ? " is" : " are") +
             " silent: no heartbeat for 5 s";
    case HealthIssue::Kind::kLost:
      break;
  }
  return Count(issue.part) + (issue.part == 1 ? " span" : " spans") +
         " lost in the last 5 min: the figures are too low";
}

const char* Recommendation(HealthIssue::Kind kind) {
  switch (kind) {
    case HealthIssue::Kind::kErrorRate:
      return "Look at the service's most frequent error under /api/v1/errors and open one of its traces.";
    case HealthIssue::Kind::kSlow:
      return "Open the service's slowest traces: the critical path names what takes the time. If this is normal here, "
             "raise thresholds.slow.";
    case HealthIssue::Kind::kMemory:
      return "Look for what the process keeps: caches without a limit, histories, buffers. Traces with a large memory "
             "delta show where it grew.";
    case HealthIssue::Kind::kDied:
      return "Read the last output and the exit status of the process: it crashed, was killed, or ran out of memory.";
    case HealthIssue::Kind::kSilent:
      return "Check whether the process hangs or is stopped; after 60 s of silence it counts as dead.";
    case HealthIssue::Kind::kLost:
      break;
  }
  return "See the reason of the loss under /api/v1/stats; sample fewer traces, or give the SDK more room.";
}

// The service's slot of now, emptied if it is a new one.
void Health::Turn(std::int64_t now_ns, std::uint32_t number) {
  while (services_.size() <= number) services_.Append();
  Service& service = services_[number];
  if (!service.live) {
    service.live = true;
    service.since_ns = now_ns;
  }
  const std::int64_t slot = std::clamp<std::int64_t>(now_ns / kHealthSlotNs, 0, UINT32_MAX);
  service.slot_end_ns = (slot + 1) * kHealthSlotNs;
  due_ns_ = std::min(due_ns_, service.slot_end_ns);
  if (const Slot& full = service.current; full.raw > 0 && full.number != slot) {
    std::erase_if(service.past, [&](const PastSlot& past) { return past.number + kWindowSlots < slot; });
    service.past.push_back({static_cast<std::uint32_t>(full.number),
                            static_cast<std::uint32_t>(std::min<std::uint64_t>(full.raw, UINT32_MAX)),
                            static_cast<float>(full.spans), static_cast<float>(full.errors),
                            static_cast<float>(full.duration_ns), static_cast<float>(full.slow_warning),
                            static_cast<float>(full.slow_critical)});
  }
  if (service.current.number != slot) service.current = Slot{.number = slot};
}

void Health::NoteBad(std::int64_t duration_ns, bool failed, const SpanView& span, Service* service) const {
  if (failed) service->current.errors += span.weight;
  if (duration_ns > limits_.slow_warning_ns) service->current.slow_warning += span.weight;
  if (duration_ns > limits_.slow_critical_ns) service->current.slow_critical += span.weight;
  if (!failed && service->trace_failed) return;
  service->trace = span.trace_id;
  service->span = span.span_id;
  service->trace_failed = failed;
  if (failed) DescribeError(span.error_type, span.error_message, &service->error);
}

// Over the slots [first, last].
Health::Slot Health::Sum(const Service& service, std::int64_t first, std::int64_t last) {
  Slot sum;
  const auto add = [&](const auto& slot) {
    if (slot.number < first || slot.number > last) return;
    sum.spans += static_cast<double>(slot.spans);
    sum.errors += static_cast<double>(slot.errors);
    sum.duration_ns += static_cast<double>(slot.duration_ns);
    sum.slow_warning += static_cast<double>(slot.slow_warning);
    sum.slow_critical += static_cast<double>(slot.slow_critical);
    sum.raw += slot.raw;
  };
  for (const PastSlot& past : service.past) add(past);
  add(service.current);
  return sum;
}

// What is wrong now, the worst first.
std::vector<HealthIssue> Health::Find(const Slot& sum, const ServiceTroubles& troubles) const {
  using Kind = HealthIssue::Kind;
  std::vector<HealthIssue> issues;
  const auto add = [&](Kind kind, HealthStatus level, double part, double whole, double border) {
    if (level != HealthStatus::kHealthy) issues.push_back({kind, level, part, whole, border, 0});
  };
  const auto of_two = [](HealthStatus level, double warning, double critical) {
    return level == HealthStatus::kCritical ? critical : warning;
  };
  if (troubles.died > 0) {
    const bool gone = troubles.alive + troubles.silent == 0;
    add(Kind::kDied, gone ? HealthStatus::kCritical : HealthStatus::kWarning, troubles.died, troubles.alive, 0);
  }
  if (sum.raw >= kHealthMinSpans) {
    const HealthStatus errors =
        LevelOf(sum.errors / sum.spans, limits_.error_rate_warning, limits_.error_rate_critical);
    add(Kind::kErrorRate, errors, sum.errors, sum.spans,
        of_two(errors, limits_.error_rate_warning, limits_.error_rate_critical));
    const bool critical = sum.slow_critical / sum.spans > kHealthSlowShare;
    if (critical || sum.slow_warning / sum.spans > kHealthSlowShare) {
      add(Kind::kSlow, critical ? HealthStatus::kCritical : HealthStatus::kWarning,
          critical ? sum.slow_critical : sum.slow_warning, sum.spans,
          static_cast<double>(critical ? limits_.slow_critical_ns : limits_.slow_warning_ns));
      issues.back().average_ns = sum.duration_ns / sum.spans;
    }
  }
  const auto warning = static_cast<double>(limits_.memory_warning_bytes);
  const auto critical = static_cast<double>(limits_.memory_critical_bytes);
  const auto growth = static_cast<double>(troubles.memory_growth_bytes);
  const HealthStatus memory = LevelOf(growth, warning, critical);
  add(Kind::kMemory, memory, growth, 0, of_two(memory, warning, critical));
  if (troubles.silent > 0)
    add(Kind::kSilent, HealthStatus::kWarning, troubles.silent, troubles.silent + troubles.alive, 0);
  if (troubles.lost > 0) add(Kind::kLost, HealthStatus::kWarning, static_cast<double>(troubles.lost), 0, 0);
  std::stable_sort(issues.begin(), issues.end(),
                   [](const HealthIssue& a, const HealthIssue& b) { return a.level > b.level; });
  return issues;
}

// Worse at once; better when no judgement of the last kHealthHoldNs reached the level. A service without spans has no
// rates that could flap: what its processes do not hold is over at once.
void Health::Judge(std::int64_t now_ns, const ServiceTroubles& troubles, Service* service) {
  const std::int64_t slot = now_ns / kHealthSlotNs;
  const Slot sum = Sum(*service, slot - kWindowSlots, slot - 1);
  service->judged_spans = sum.raw;
  if (sum.errors == 0) {
    service->trace_failed = false;
    service->error.clear();
  }
  if (sum.errors == 0 && sum.slow_warning == 0) service->trace = {};
  const std::vector<HealthIssue> issues = Find(sum, troubles);
  const HealthStatus found = Worst(issues);
  HealthStatus status = HealthStatus::kHealthy;
  for (std::size_t i = 0; i < service->levels.size(); ++i) {
    const auto named = static_cast<HealthStatus>(i + 1);
    Level& level = service->levels[i];
    if (found >= named) {
      level.held_ns = now_ns;
      level.issues = issues;
    } else if (level.held_ns != INT64_MIN && (sum.raw == 0 || level.held_ns <= now_ns - kHealthHoldNs)) {
      level = Level();
    }
    if (level.held_ns != INT64_MIN) status = named;
  }
  if (status == service->status) return;
  if (service->status == HealthStatus::kHealthy) ++unhealthy_;
  if (status == HealthStatus::kHealthy) --unhealthy_;
  service->status = status;
  service->since_ns = now_ns;
}

bool Health::Advance(std::int64_t now_ns, const Catalog& catalog, const Ledger& ledger) {
  if (!judging_) {
    if (now_ns < due_ns_) return false;
    due_ns_ = (now_ns / kHealthSlotNs + 1) * kHealthSlotNs;
    judging_ = true;
    next_ = 0;
    troubles_ = ledger.Troubles(now_ns);
    return true;
  }
  const auto end = static_cast<std::uint32_t>(std::min<std::size_t>(next_ + kServicesPerStep, services_.size()));
  for (; next_ < end; ++next_) {
    Service& service = services_[next_];
    if (!service.live) continue;
    const auto found = troubles_.empty() ? troubles_.end() : troubles_.find(catalog.service_name(next_));
    const bool idle = service.slot_end_ns <= now_ns - static_cast<std::int64_t>(kHealthSlots) * kHealthSlotNs;
    if (idle && found == troubles_.end() && service.status == HealthStatus::kHealthy) {
      service.judged_spans = 0;
      continue;
    }
    Judge(now_ns, found == troubles_.end() ? ServiceTroubles() : found->second, &service);
  }
  if (next_ == services_.size()) {
    judging_ = false;
    troubles_.clear();
  }
  return true;
}

void Health::ForgetService(std::uint32_t number) {
  if (number >= services_.size()) return;
  if (services_[number].status != HealthStatus::kHealthy) --unhealthy_;
  services_[number] = Service();
}

std::uint64_t Health::bytes() const {
  std::uint64_t total = services_.size() * (sizeof(Service) + kServiceBytes);
  for (std::size_t i = 0; i < services_.size(); ++i) {
    total += services_[i].past.size() * sizeof(PastSlot) + services_[i].error.size();
    for (const Level& level : services_[i].levels) total += level.issues.size() * sizeof(HealthIssue);
  }
  return total;
}

const std::vector<HealthIssue>* Health::IssuesOf(std::uint32_t number) const {
  if (number >= services_.size() || services_[number].status == HealthStatus::kHealthy) return nullptr;
  const Service& service = services_[number];
  return &service.levels[static_cast<std::size_t>(service.status) - 1].issues;
}

Health::Verdict Health::VerdictOf(std::uint32_t number) const {
  if (number >= services_.size()) return {};
  const Service& service = services_[number];
  return {service.status, service.judged_spans, service.trace, service.span, service.error};
}

std::string Health::Issues(std::uint32_t number) const {
  std::string text;
  if (const std::vector<HealthIssue>* issues = IssuesOf(number)) {
    for (const HealthIssue& issue : *issues) text += (text.empty() ? "" : "; ") + IssueText(issue);
  }
  return text;
}

bool Health::Show(std::int64_t now_ns, std::uint32_t number, const Catalog& catalog, ServiceHealth* out) const {
  if (number >= services_.size() || !services_[number].live) return false;
  const Service& service = services_[number];
  const std::int64_t slot = now_ns / kHealthSlotNs;
  const Slot sum = Sum(service, slot - kWindowSlots + 1, slot);
  out->service = catalog.service_name(number);
  out->status = service.status;
  out->since_ns = service.since_ns;
  out->spans = sum.spans;
  if (sum.spans > 0) {
    out->avg_duration_ns = sum.duration_ns / sum.spans;
    out->error_rate = sum.errors / sum.spans;
    out->slow_rate = sum.slow_warning / sum.spans;
  }
  const std::vector<HealthIssue>* issues = IssuesOf(number);
  for (std::size_t i = 0; issues != nullptr && i < issues->size(); ++i) {
    out->issues.push_back(IssueText((*issues)[i]));
    out->recommendations.emplace_back(Recommendation((*issues)[i].kind));
  }
  return true;
}

}  // namespace spanwatch::core
