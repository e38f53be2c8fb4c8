#include "sidecar/metrics/families.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace spanwatch::metrics {
namespace {

using core::ReasonCount;

const char* KindName(core::SpanKind kind) {
  switch (kind) {
    case core::SpanKind::kInternal:
      return "SPAN_KIND_INTERNAL";
    case core::SpanKind::kServer:
      return "SPAN_KIND_SERVER";
    case core::SpanKind::kClient:
      return "SPAN_KIND_CLIENT";
    case core::SpanKind::kProducer:
      return "SPAN_KIND_PRODUCER";
    case core::SpanKind::kConsumer:
      return "SPAN_KIND_CONSUMER";
    case core::SpanKind::kUnspecified:
      break;
  }
  return "SPAN_KIND_UNSPECIFIED";
}

const char* StatusName(core::StatusCode status) {
  switch (status) {
    case core::StatusCode::kOk:
      return "STATUS_CODE_OK";
    case core::StatusCode::kError:
      return "STATUS_CODE_ERROR";
    case core::StatusCode::kUnset:
      break;
  }
  return "STATUS_CODE_UNSET";
}

double Number(std::uint64_t value) { return static_cast<double>(value); }

void Gauge(Writer* writer, std::string_view name, double value, std::string_view help) {
  writer->Family(name, Type::kGauge, help);
  writer->Sample(value);
}

void Counter(Writer* writer, std::string_view name, double value, std::string_view help) {
  writer->Family(name, Type::kCounter, help);
  writer->Sample(value);
}

// A counter by reason. `always` are reasons shown as 0 before the first case, so that increase() sees that case.
void Reasons(Writer* writer, std::string_view name, const std::vector<ReasonCount>& counts,
             std::initializer_list<const char*> always, std::string_view help) {
  std::map<std::string_view, std::uint64_t> sums;
  for (const char* reason : always) sums[reason] = 0;
  for (const ReasonCount& count : counts) sums[count.name] += count.count;
  writer->Family(name, Type::kCounter, help);
  for (const auto& [reason, count] : sums) writer->Sample(Labels().Add("reason", reason).text(), Number(count));
}

struct LabelledSeries {
  std::string labels;
  const core::DurationHistogram* durations;
};

std::vector<LabelledSeries> LabelSeries(const core::MetricsView& metrics) {
  std::vector<LabelledSeries> all;
  all.reserve(metrics.series.size());
  for (const core::SpanSeries& series : metrics.series) {
    Labels labels;
    if (!series.overflow || !series.service.empty()) labels.Add("service_name", series.service);
    if (series.overflow) {
      labels.Add("otel_metric_overflow", "true");
    } else {
      labels.Add("span_name", series.operation);
      labels.Add("span_kind", KindName(series.kind)).Add("status_code", StatusName(series.status));
    }
    all.push_back({labels.text(), &series.durations});
  }
  return all;
}

}  // namespace

void WriteSpanMetrics(const core::MetricsView& metrics, bool milliseconds, Writer* writer) {
  static const auto kSeconds = BoundTexts(core::kDurationBucketsNs, 1e9);
  static const auto kMilliseconds = BoundTexts(core::kDurationBucketsNs, 1e6);
  const auto all = LabelSeries(metrics);
  writer->Family("traces_span_metrics_calls", Type::kCounter,
                 "Spans that ended, weighed by their sampling probability.");
  for (const auto& series : all) writer->CountSample(series.labels, *series.durations);
  writer->Family(milliseconds ? "traces_span_metrics_duration_milliseconds" : "traces_span_metrics_duration_seconds",
                 Type::kHistogram, "How long spans took.");
  for (const auto& series : all) {
    writer->Histogram(series.labels, milliseconds ? kMilliseconds : kSeconds, *series.durations,
                      milliseconds ? 1e-6 : 1e-9);
  }
}

void WriteStatistics(const core::StatisticsView& statistics, Writer* writer) {
  writer->Family("spanwatch_series", Type::kGauge,
                 "Series of span metrics: named ones, and overflow series of services that have too many.");
  writer->Sample(Labels().Add("state", "named").text(), Number(statistics.series));
  writer->Sample(Labels().Add("state", "overflow").text(), Number(statistics.overflow_series));
  Gauge(writer, "spanwatch_max_series", Number(statistics.max_series), "metrics.max_series of the configuration.");
  Counter(writer, "spanwatch_expired_series", Number(statistics.expired_series_total),
          "Series forgotten because no span came for metrics.series_idle.");
  writer->Family("spanwatch_cardinality_overflow", Type::kCounter,
                 "Spans counted without their own series, by the label that has too many values.");
  for (const core::CardinalityView& each : statistics.cardinality) {
    Labels labels;
    if (!each.service.empty()) labels.Add("service_name", each.service);
    writer->Sample(labels.Add("label", each.label).text(), Number(each.folded_spans));
  }
  Gauge(writer, "spanwatch_statistics_bytes", Number(statistics.bytes),
        "Bytes that names, series and windows of rules take.");
  Gauge(writer, "spanwatch_statistics_max_bytes", Number(statistics.max_bytes), "What they may take.");
}

void WriteTraceHistograms(const core::MetricsView& metrics, Writer* writer) {
  static const auto kDepths = BoundTexts(core::kDepthBuckets, 1);
  static const auto kSpans = BoundTexts(core::kSpanCountBuckets, 1);
  static const auto kSeconds = BoundTexts(core::kDurationBucketsNs, 1e9);
  writer->Family("spanwatch_trace_depth", Type::kHistogram, "Levels of completed traces; the root is level 1.");
  writer->Histogram({}, kDepths, metrics.trace_depth, 1);
  writer->Family("spanwatch_trace_spans", Type::kHistogram, "Spans of completed traces.");
  writer->Histogram({}, kSpans, metrics.trace_spans, 1);
  writer->Family("spanwatch_trace_duration_seconds", Type::kHistogram,
                 "Completed traces, from earliest start to latest end.");
  writer->Histogram({}, kSeconds, metrics.trace_duration, 1e-9);
}

void WriteStore(const core::StatsView& stats, Writer* writer) {
  const core::StoreView& store = stats.store;
  Gauge(writer, "spanwatch_store_traces", Number(store.traces), "Traces stored now.");
  Gauge(writer, "spanwatch_store_open_traces", Number(store.open_traces), "Stored traces that are not complete yet.");
  Gauge(writer, "spanwatch_store_spans", Number(store.spans), "Spans stored now.");
  Gauge(writer, "spanwatch_store_bytes", Number(store.bytes), "Bytes that the stored traces take.");
  Gauge(writer, "spanwatch_store_memory_limit_bytes", Number(store.memory_limit),
        "store.memory_limit of the configuration.");
  Gauge(writer, "spanwatch_store_max_traces", Number(store.max_traces), "store.max_traces of the configuration.");
  Gauge(writer, "spanwatch_store_ttl_seconds", static_cast<double>(store.ttl_ns) / 1e9,
        "store.ttl of the configuration.");
  Counter(writer, "spanwatch_traces_started", Number(store.traces_total), "Traces of which a first span arrived.");
  Counter(writer, "spanwatch_traces_completed", Number(store.completed_total), "Traces that were found complete.");
  Reasons(writer, "spanwatch_evicted_traces", store.evicted, {"cut", "max_traces", "memory", "ttl"},
          "Traces removed from the store, by the limit that demanded it.");
  Counter(writer, "spanwatch_late_spans", Number(store.late_spans_total),
          "Spans that arrived after their trace was complete.");
  Counter(writer, "spanwatch_duplicate_spans", Number(store.duplicate_spans_total), "Spans that were already stored.");
  Counter(writer, "spanwatch_truncated_spans", Number(store.truncated_spans_total),
          "Spans not stored because their trace had reached its limits; they count in all other metrics.");
  Counter(writer, "spanwatch_records", Number(stats.records), "Records that the engine took in.");
  Gauge(writer, "spanwatch_engine_timestamp_seconds", static_cast<double>(stats.now_ns) / 1e9,
        "The engine's clock; it stands still when ingest does.");
}

void WriteLedger(const core::StatsView& stats, Writer* writer) {
  Counter(writer, "spanwatch_spans_emitted", Number(stats.emitted),
          "Spans that traced processes ended, by their own count.");
  Counter(writer, "spanwatch_spans_applied", Number(stats.applied),
          "Spans of traced processes that the engine took in.");
  Counter(writer, "spanwatch_spans_sampled_out", Number(stats.sampled_out), "Spans left out by sampling.");
  Reasons(writer, "spanwatch_spans_lost", stats.lost, {"buffer_full", "died", "ring_full"},
          "Spans lost, by reason. emitted = applied + sampled_out + lost.");
  Reasons(writer, "spanwatch_malformed_messages", stats.malformed_messages, {"bad_envelope"},
          "Messages that could not be used, by reason.");
  Reasons(writer, "spanwatch_rejected_spans", stats.rejected_spans, {"invalid_id", "limit", "malformed"},
          "Spans that arrived and were refused, by reason.");
  Counter(writer, "spanwatch_processes_refused", Number(stats.processes_dropped),
          "Traced processes not taken in because the limit of processes was reached.");
}

void WriteServices(const std::vector<core::ServiceStats>& services, Writer* writer) {
  writer->Family("spanwatch_slow_spans", Type::kCounter,
                 "Spans slower than thresholds.slow; critical ones count as warning too.");
  for (const core::ServiceStats& service : services) {
    writer->Sample(Labels().Add("service_name", service.service).Add("threshold", "warning").text(),
                   service.slow_warning);
    writer->Sample(Labels().Add("service_name", service.service).Add("threshold", "critical").text(),
                   service.slow_critical);
  }
}

void WriteAlerts(const std::vector<core::Incident>& incidents, const core::RuleSet* rules, std::uint64_t dropped,
                 Writer* writer) {
  // Every rule's levels are there from the start with 0: a panel or a query over them is never empty.
  std::map<std::tuple<std::string, std::string, std::string>, double> counts;
  if (rules != nullptr) {
    for (const core::Rule& rule : rules->rules) {
      if (rule.warning) counts[{rule.alert, "warning", "firing"}] = 0;
      if (rule.critical) counts[{rule.alert, "critical", "firing"}] = 0;
    }
  }
  for (const core::Incident& incident : incidents) {
    if (incident.state == core::AlertState::kPending || incident.state == core::AlertState::kFiring) {
      ++counts[{incident.alertname, core::ToString(incident.severity), core::ToString(incident.state)}];
    }
  }
  writer->Family("spanwatch_alerts", Type::kGauge, "Incidents that are pending or firing now.");
  for (const auto& [key, count] : counts) {
    const auto& [alert, severity, state] = key;
    writer->Sample(Labels().Add("alertname", alert).Add("severity", severity).Add("state", state).text(), count);
  }
  Gauge(writer, "spanwatch_rules", rules == nullptr ? 0 : Number(rules->rules.size()), "Alert rules in force.");
  Counter(writer, "spanwatch_incidents_dropped", Number(dropped),
          "Matches of alert rules that found the incident table full.");
}

void WriteRules(const std::vector<core::RuleStatus>& rules, Writer* writer) {
  std::map<std::pair<std::string, std::string>, core::RuleStatus> named;  // rules of one name are one series
  for (const core::RuleStatus& rule : rules) {
    core::RuleStatus& sum = named[{rule.group, rule.alert}];
    sum.ok = sum.ok && rule.ok;
    sum.evaluations += rule.evaluations;
    sum.failures += rule.failures;
    sum.groups += rule.groups;
    sum.dropped_groups += rule.dropped_groups;
    sum.last_evaluation_ns = std::max(sum.last_evaluation_ns, rule.last_evaluation_ns);
  }
  const auto family = [&](std::string_view name, Type type, auto member, double divisor, std::string_view help) {
    writer->Family(name, type, help);
    for (const auto& [names, status] : named) {
      writer->Sample(Labels().Add("rule_group", names.first).Add("alertname", names.second).text(),
                     static_cast<double>(status.*member) / divisor);
    }
  };
  using Status = core::RuleStatus;
  family("spanwatch_rule_healthy", Type::kGauge, &Status::ok, 1,
         "1, or 0 if the rule failed within the last five minutes; /api/v1/rules says why.");
  family("spanwatch_rule_evaluations", Type::kCounter, &Status::evaluations, 1,
         "Passes over the groups of a window rule; matches of an event rule.");
  family("spanwatch_rule_failures", Type::kCounter, &Status::failures, 1,
         "What a rule could not judge: no room for a group or an incident, no number, no price.");
  family("spanwatch_rule_groups", Type::kGauge, &Status::groups, 1, "Groups of a window rule.");
  family("spanwatch_rule_dropped_groups", Type::kCounter, &Status::dropped_groups, 1,
         "Times that a group of the rule found no room.");
  family("spanwatch_rule_last_evaluation_timestamp_seconds", Type::kGauge, &Status::last_evaluation_ns, 1e9,
         "When the rule was last looked at; 0: never.");
}

void WriteNotifications(const std::vector<NotificationCounts>& counts, Writer* writer) {
  const auto family = [&](std::string_view name, Type type, auto member, std::string_view help) {
    writer->Family(name, type, help);
    for (const NotificationCounts& count : counts) {
      writer->Sample(Labels().Add("receiver", count.receiver).text(), static_cast<double>(count.*member));
    }
  };
  using C = NotificationCounts;
  family("spanwatch_notifications_posted", Type::kCounter, &C::posted, "Messages posted.");
  family("spanwatch_notifications_edited", Type::kCounter, &C::edited, "Messages edited in place.");
  family("spanwatch_notifications_failed", Type::kCounter, &C::failed, "Messages given up.");
  family("spanwatch_notifications_retried", Type::kCounter, &C::retried, "Requests tried again after a failure.");
  family("spanwatch_notifications_rate_limited", Type::kCounter, &C::rate_limited, "Requests answered with 429.");
  family("spanwatch_notifications_fallbacks", Type::kCounter, &C::fallbacks,
         "Plain messages sent because the card was refused.");
  family("spanwatch_notifications_dropped", Type::kCounter, &C::dropped, "Changes dropped because the queue was full.");
  family("spanwatch_notifications_possible_duplicates", Type::kCounter, &C::possible_duplicates,
         "Posts whose answer was lost, so that the message may be there twice.");
  family("spanwatch_notifications_queued", Type::kGauge, &C::queued, "Messages waiting to be delivered.");
  family("spanwatch_notifications_configured", Type::kGauge, &C::configured,
         "1 if the receiver has an address to post to.");
  family("spanwatch_notifications_given_up", Type::kGauge, &C::given_up,
         "1 if the receiver refused for good (401, 403, 404) and is not used until the configuration changes.");
}

void WriteOutbox(const OutboxCounts& counts, Writer* writer) {
  Gauge(writer, "spanwatch_outbox_enabled", counts.enabled ? 1 : 0, "1 if decided alerts are to be kept on disk.");
  Gauge(writer, "spanwatch_outbox_writable", counts.writable ? 1 : 0,
        "1 if they are; 0: alerts are delivered from memory alone.");
  Gauge(writer, "spanwatch_outbox_size_bytes", Number(counts.bytes), "Size of the outbox's file and its log.");
  Gauge(writer, "spanwatch_outbox_pending", Number(counts.pending), "Changes of alerts that are not on disk yet.");
  Counter(writer, "spanwatch_outbox_committed", Number(counts.committed), "Changes of alerts written to disk.");
  Counter(writer, "spanwatch_outbox_repeats", Number(counts.repeats),
          "Changes ignored because they were on disk already, as after a restart.");
  Counter(writer, "spanwatch_outbox_write_errors", Number(counts.write_errors), "Writes that failed.");
  Counter(writer, "spanwatch_outbox_corruptions", Number(counts.corruptions), "Damaged files put aside.");
  Counter(writer, "spanwatch_outbox_given_up", Number(counts.given_up), "Changes that never got onto the disk.");
  Counter(writer, "spanwatch_outbox_unreadable", Number(counts.unreadable), "Rows that could not be read back.");
  Gauge(writer, "spanwatch_kept_traces", Number(counts.kept_traces), "Traces kept because alerts refer to them.");
  Gauge(writer, "spanwatch_kept_trace_bytes", Number(counts.kept_trace_bytes), "Size of the kept traces.");
  Counter(writer, "spanwatch_kept_trace_write_errors", Number(counts.kept_write_errors),
          "Writes of kept traces that failed; they wait in memory.");
}

void WriteRouting(const RoutingCounts& counts, Writer* writer) {
  const auto family = [&](std::string_view name, Type type, const auto& list, std::string_view label,
                          std::string_view help) {
    writer->Family(name, type, help);
    for (const core::ReasonCount& each : list)
      writer->Sample(Labels().Add(label, each.name).text(), Number(each.count));
  };
  family("spanwatch_silences", Type::kGauge, counts.silences, "state",
         "Silences that are kept: pending, active, and those that ended in the last five days.");
  family("spanwatch_alerts_muted", Type::kGauge, counts.muted_now, "reason",
         "Incidents that fire now and that nobody is told of.");
  family("spanwatch_notifications_muted", Type::kCounter, counts.muted_total, "reason",
         "How often an incident that fires became muted.");
}

void WriteJournal(const JournalCounts& counts, Writer* writer) {
  Gauge(writer, "spanwatch_journal_on", counts.on ? 1 : 0,
        "1 while every record is journaled, 0 in memory only: a restart would forget.");
  Gauge(writer, "spanwatch_journal_bytes", Number(counts.bytes), "Bytes of records that the journal holds.");
  Gauge(writer, "spanwatch_journal_oldest_timestamp_seconds", static_cast<double>(counts.oldest_ns) / 1e9,
        "Engine time of the oldest record that the journal holds, since unix epoch; 0: none.");
  Counter(writer, "spanwatch_journal_records", Number(counts.records), "Records journaled.");
  Counter(writer, "spanwatch_journal_written_bytes", Number(counts.written_bytes), "Bytes written to the journal.");
  Counter(writer, "spanwatch_journal_dropped_records", Number(counts.dropped_records),
          "Records applied without being journaled, because the disk was full, failed, or too slow.");
  Counter(writer, "spanwatch_journal_failures", Number(counts.failures),
          "How often journaling was given up for a while.");
  Counter(writer, "spanwatch_journal_checkpoints", Number(counts.checkpoints), "Segments begun.");
  Gauge(writer, "spanwatch_journal_replayed_records", Number(counts.replayed_records),
        "Records read from the journal at the last start.");
  Gauge(writer, "spanwatch_journal_replay_seconds", static_cast<double>(counts.replay_ns) / 1e9,
        "How long reading the journal took at the last start.");
}

void WriteHttp(const HttpCounts& counts, Writer* writer) {
  writer->Family("spanwatch_http_requests", Type::kCounter, "Requests answered, by handler and status code.");
  for (const auto& request : counts.requests) {
    writer->Sample(Labels().Add("handler", request.handler).Add("code", std::to_string(request.code)).text(),
                   Number(request.count));
  }
  Gauge(writer, "spanwatch_http_connections", Number(counts.connections), "HTTP connections open now.");
  Reasons(writer, "spanwatch_http_rejected_connections", counts.rejected_connections, {},
          "HTTP connections ended by the sidecar before a request was complete, by reason.");
  if (counts.redactions.empty()) return;  // the receiver is off
  writer->Family("spanwatch_redactions", Type::kCounter,
                 "Places where personal data or a secret was replaced in spans received over OTLP/HTTP, by kind.");
  for (const core::ReasonCount& kind : counts.redactions) {
    writer->Sample(Labels().Add("kind", kind.name).text(), Number(kind.count));
  }
}

}  // namespace spanwatch::metrics
