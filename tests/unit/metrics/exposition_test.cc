#include "sidecar/metrics/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "sidecar/core/prices.h"
#include "sidecar/metrics/families.h"
#include "tests/support/engine_driver.h"
#include "tests/unit/metrics/promtool.h"

namespace spanwatch::metrics {
namespace {

using core::EngineDriver;
using core::kMs;
using core::kSecond;
using core::kStart;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kAskOpenMetrics[] = "application/openmetrics-text;version=1.0.0";
constexpr char kHostile[] = "evil \"} 1\n# EOF\nx{\\y='z' <script>alert(1)</script> \xC3\xBC";

Sources SourcesOf(const EngineDriver& driver) {
  Sources sources;
  sources.engine = &const_cast<EngineDriver&>(driver).engine();
  sources.version = "1.2.3";
  sources.notifications = [] {
    NotificationCounts discord;
    discord.receiver = "discord";
    discord.posted = 7;
    discord.configured = true;
    return std::vector<NotificationCounts>{discord};
  };
  sources.outbox = [] {
    OutboxCounts outbox;
    outbox.enabled = true;
    outbox.committed = 13;
    return outbox;
  };
  sources.config_reload_successful = [] { return true; };
  sources.forward = [] {
    ForwardCounts counts;
    counts.configured = true;
    counts.forwarded_traces = 11;
    counts.dropped_traces = {{"queue_full", 2}, {"evicted", 0}};
    counts.dropped_spans = {{"partial_success", 3}};
    counts.queued_bytes = 4096;
    return counts;
  };
  sources.http = [] {
    HttpCounts counts;
    counts.requests = {{"/metrics", 200, 5}, {"other", 404, 1}};
    counts.rejected_connections = {{"full", 2}};
    counts.connections = 3;
    return counts;
  };
  return sources;
}

// One message of a process that says all that a process can say.
void Heartbeat(EngineDriver* driver) {
  core::EnvelopeView envelope;
  envelope.kind = core::EnvelopeKind::kHello;
  envelope.process_id = {0x12, 0x34, 0x56, 0x78};
  envelope.oldest_held = 1;
  driver->Message(1, envelope, {});
  envelope.kind = core::EnvelopeKind::kSpans;
  envelope.sequence = 1;
  envelope.span_count = 2;
  driver->Message(1, envelope, {{.trace = 5, .id = 1}, {.trace = 5, .id = 2, .parent = 1}});
  envelope.kind = core::EnvelopeKind::kHeartbeat;
  envelope.sequence = 0;
  envelope.span_count = 0;
  envelope.oldest_held = 2;
  envelope.batched_before = 2;
  envelope.drops = {{"ring_full", 3}};
  envelope.sampled_out = 4;
  envelope.rss_bytes = 50 << 20;
  envelope.sdk_bytes = 1 << 20;
  envelope.sdk_cpu_ns = 1'500'000'000;
  envelope.sdk_ring_fill = 0.25;
  envelope.sdk_sample_rate = 0.5;
  envelope.gauges = {{"circuit_breaker.state", {{"service", "gemini"}, {"name", "clash"}, {"bad name\"", kHostile}}, 2},
                     {"circuit_breaker.state", {{"service", "gemini"}, {"name", "clash"}, {"bad name\"", kHostile}}, 2},
                     {"circuit_breaker.state", {{"name", "gemini"}}, 2},
                     {"circuit_breaker.state", {{"name", kHostile}}, 1},
                     {"circuit_breaker.state", {{"name", "gemini"}}, 0},
                     {"circuit_breaker.opened", {{"name", "gemini"}}, 3},
                     {"circuit_breaker.refused", {{"name", "gemini"}}, 17},
                     {"circuit_breaker.other", {{"name", "gemini"}}, 5}};
  driver->Message(1, envelope);
}

void Fill(EngineDriver* driver) {
  driver->Spans(
      {{.trace = 1, .id = 1, .duration_ns = 1500 * kMs},
       {.trace = 1,
        .id = 2,
        .parent = 1,
        .name = "GeminiService.generate",
        .duration_ns = 1000 * kMs,
        .kind = core::SpanKind::kClient},
       {.trace = 1, .id = 3, .parent = 2, .service = kHostile, .name = kHostile, .duration_ns = 1, .failed = true}});
  Heartbeat(driver);
  driver->At(40 * kSecond);
}

// A small strict reader of OpenMetrics: order of lines, no repeats, families together, counts whole, buckets rising.
void ExpectStrictOpenMetrics(const std::string& text) {
  ASSERT_TRUE(text.ends_with("# EOF\n"));
  std::istringstream lines(text.substr(0, text.size() - 6));
  std::set<std::string> families, series;
  std::string family, type, bucket_series, line;
  double last_bucket = 0;
  while (std::getline(lines, line)) {
    ASSERT_FALSE(line.empty()) << "blank line";
    if (line.starts_with("# TYPE ")) {
      std::istringstream fields(line.substr(7));
      fields >> family >> type;
      ASSERT_TRUE(families.insert(family).second) << line;
      ASSERT_TRUE(std::set<std::string>({"counter", "gauge", "histogram", "info"}).contains(type)) << line;
      ASSERT_FALSE(family.ends_with("_total") || family.ends_with("_info")) << line;
      continue;
    }
    if (line.starts_with("# UNIT ") || line.starts_with("# HELP ")) {
      ASSERT_EQ(line.substr(7, family.size() + 1), family + " ") << line;
      if (line[2] == 'U') {
        ASSERT_TRUE(family.ends_with("_" + line.substr(8 + family.size()))) << line;
      }
      continue;
    }
    ASSERT_FALSE(line.starts_with("#")) << line;
    const std::string name = line.substr(0, line.find_first_of("{ "));
    const std::string key = line.substr(0, line.rfind(' '));
    const double value = std::stod(line.substr(line.rfind(' ') + 1));
    ASSERT_TRUE(series.insert(key).second) << "twice: " << line;
    ASSERT_TRUE(name.starts_with(family)) << line << " in " << family;
    const std::string suffix = name.substr(family.size());
    if (type == "counter") {
      ASSERT_EQ(suffix, "_total") << line;
    } else if (type == "gauge") {
      ASSERT_EQ(suffix, "") << line;
    } else if (type == "info") {
      ASSERT_EQ(suffix, "_info") << line;
    } else {
      ASSERT_TRUE(suffix == "_bucket" || suffix == "_sum" || suffix == "_count") << line;
    }
    if (type != "gauge") {
      ASSERT_GE(value, 0) << line;
    }
    if (suffix == "_bucket") {
      const auto le = key.rfind("le=\"");
      const std::string bound = key.substr(le + 4, key.size() - le - 6);
      ASSERT_TRUE(bound == "+Inf" || bound.find('.') != std::string::npos) << line;
      const std::string labels = key.substr(0, le);
      if (labels != bucket_series) last_bucket = 0;
      bucket_series = labels;
      ASSERT_GE(value, last_bucket) << line;
      ASSERT_EQ(value, std::trunc(value)) << line;
      last_bucket = value;
    }
    if (suffix == "_count") {
      ASSERT_EQ(value, last_bucket) << line;
    }
  }
}

// {series: value}, comments left out.
std::map<std::string, std::string> SeriesOf(const std::string& text) {
  std::map<std::string, std::string> series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("#")) series[line.substr(0, line.rfind(' '))] = line.substr(line.rfind(' ') + 1);
  }
  return series;
}

class ExpositionTest : public ::testing::Test {
 protected:
  std::string Render(const char* accept = "") {
    std::string type;
    return Exposition(SourcesOf(driver_)).Render(accept, &type);
  }
  EngineDriver driver_;
};

TEST_F(ExpositionTest, SpanMetrics) {
  Fill(&driver_);
  const auto series = SeriesOf(Render());
  const std::string labels =
      "{service_name=\"bot\",span_name=\"GeminiService.generate\",span_kind=\"SPAN_KIND_CLIENT\",status_code=\"STATUS_"
      "CODE_UNSET\"";
  EXPECT_EQ(series.at("traces_span_metrics_calls_total" + labels + "}"), "1");
  EXPECT_EQ(series.at("traces_span_metrics_duration_seconds_bucket" + labels + ",le=\"0.8\"}"), "0");
  EXPECT_EQ(series.at("traces_span_metrics_duration_seconds_bucket" + labels + ",le=\"1.0\"}"), "1");
  EXPECT_EQ(series.at("traces_span_metrics_duration_seconds_bucket" + labels + ",le=\"600.0\"}"), "1");
  EXPECT_EQ(series.at("traces_span_metrics_duration_seconds_bucket" + labels + ",le=\"+Inf\"}"), "1");
  EXPECT_EQ(series.at("traces_span_metrics_duration_seconds_sum" + labels + "}"), "1");
  EXPECT_EQ(series.at("traces_span_metrics_duration_seconds_count" + labels + "}"), "1");
  EXPECT_EQ(series.at("spanwatch_slow_spans_total{service_name=\"bot\",threshold=\"warning\"}"), "1");
  EXPECT_EQ(series.at("spanwatch_slow_spans_total{service_name=\"bot\",threshold=\"critical\"}"), "0");
  EXPECT_EQ(series.at("spanwatch_trace_depth_count"), "2");
  EXPECT_EQ(series.at("spanwatch_trace_depth_bucket{le=\"3.0\"}"), "2");
  EXPECT_EQ(series.at("spanwatch_trace_spans_sum"), "5");
}

TEST_F(ExpositionTest, Milliseconds) {
  Fill(&driver_);
  Sources sources = SourcesOf(driver_);
  sources.duration_in_milliseconds = true;
  std::string type;
  const std::string text = Exposition(sources).Render("", &type);
  EXPECT_THAT(text, HasSubstr("traces_span_metrics_duration_milliseconds_bucket{service_name=\"bot\",span_name=\"op\","
                              "span_kind=\"SPAN_KIND_INTERNAL\",status_code=\"STATUS_CODE_UNSET\",le=\"1400.0\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("le=\"600000.0\"} "));
  EXPECT_THAT(text, Not(HasSubstr("traces_span_metrics_duration_seconds")));
}

TEST_F(ExpositionTest, ProcessesAndLedger) {
  Fill(&driver_);
  driver_.At(41 * kSecond);
  const auto series = SeriesOf(Render());
  EXPECT_EQ(series.at("spanwatch_spans_emitted_total"), "9");
  EXPECT_EQ(series.at("spanwatch_spans_applied_total"), "2");
  EXPECT_EQ(series.at("spanwatch_spans_sampled_out_total"), "4");
  EXPECT_EQ(series.at("spanwatch_spans_lost_total{reason=\"ring_full\"}"), "3");
  EXPECT_EQ(series.at("spanwatch_spans_lost_total{reason=\"died\"}"), "0");
  const std::string process = "{process=\"12345678\",service_name=\"bot\"";
  EXPECT_EQ(series.at("spanwatch_process_spans_emitted_total" + process + "}"), "9");
  EXPECT_EQ(series.at("spanwatch_process_spans_lost_total" + process + ",reason=\"ring_full\"}"), "3");
  EXPECT_EQ(series.at("spanwatch_process_resident_memory_bytes" + process + "}"), "52428800");
  EXPECT_EQ(series.at("spanwatch_process_sdk_cpu_seconds_total" + process + "}"), "1.5");
  EXPECT_EQ(series.at("spanwatch_process_sdk_ring_fill_ratio" + process + "}"), "0.25");
  EXPECT_EQ(series.at("spanwatch_process_sample_ratio" + process + "}"), "0.5");
  EXPECT_EQ(series.at("spanwatch_process_state" + process + ",state=\"silent\"}"), "1");
  EXPECT_EQ(series.at("spanwatch_processes{state=\"silent\"}"), "1");
  EXPECT_EQ(series.at("spanwatch_processes{state=\"alive\"}"), "0");
  EXPECT_EQ(series.at("spanwatch_notifications_posted_total{receiver=\"discord\"}"), "7");
  EXPECT_EQ(series.at("spanwatch_notifications_configured{receiver=\"discord\"}"), "1");
  EXPECT_EQ(series.at("spanwatch_notifications_possible_duplicates_total{receiver=\"discord\"}"), "0");
  EXPECT_EQ(series.at("spanwatch_outbox_committed_total"), "13");
  EXPECT_EQ(series.at("spanwatch_outbox_enabled"), "1");
  EXPECT_EQ(series.at("spanwatch_outbox_writable"), "0");
  EXPECT_EQ(series.at("spanwatch_forward_configured"), "1");
  EXPECT_EQ(series.at("spanwatch_forward_traces_total"), "11");
  EXPECT_EQ(series.at("spanwatch_forward_dropped_traces_total{reason=\"queue_full\"}"), "2");
  EXPECT_EQ(series.at("spanwatch_forward_dropped_spans_total{reason=\"partial_success\"}"), "3");
  EXPECT_EQ(series.at("spanwatch_forward_queued_bytes"), "4096");
  EXPECT_EQ(series.at("spanwatch_http_requests_total{handler=\"other\",code=\"404\"}"), "1");
  EXPECT_EQ(series.at("spanwatch_config_last_reload_successful"), "1");
  EXPECT_THAT(Render(), HasSubstr("spanwatch_build_info{"));
  EXPECT_THAT(Render(), HasSubstr("version=\"1.2.3\""));
  EXPECT_THAT(Render(), HasSubstr("\nprocess_cpu_seconds_total "));
}

TEST_F(ExpositionTest, ReportedValuesAreTamed) {
  Fill(&driver_);
  const std::string text = Render();
  EXPECT_THAT(
      text,
      HasSubstr("spanwatch_reported_value{process=\"12345678\",service_name=\"bot\",name=\"circuit_breaker.state\","
                "service=\"gemini\",bad_name_=\"evil \\\"} 1\\n# EOF\\n"));
  EXPECT_EQ(SeriesOf(text).at("spanwatch_metrics_omitted{what=\"reported_value\"}"), "2");  // two were said twice
}

TEST_F(ExpositionTest, CircuitBreakersHaveFamilies) {
  Fill(&driver_);
  const std::string text = Render();
  const auto series = SeriesOf(text);
  const std::string gemini = "{process=\"12345678\",service_name=\"bot\",name=\"gemini\"}";
  EXPECT_EQ(series.at("spanwatch_circuit_breaker_state" + gemini), "2");
  EXPECT_EQ(series.at("spanwatch_circuit_breaker_opened_total" + gemini), "3");
  EXPECT_EQ(series.at("spanwatch_circuit_breaker_refused_total" + gemini), "17");
  EXPECT_THAT(
      text, HasSubstr("spanwatch_circuit_breaker_state{process=\"12345678\",service_name=\"bot\",name=\"evil \\\"} 1"));
  EXPECT_THAT(text, HasSubstr("spanwatch_reported_value{process=\"12345678\",service_name=\"bot\","
                              "name=\"circuit_breaker.other\"} 5"));
  driver_.At(200 * kSecond);  // it died: nothing is known of its breakers
  EXPECT_EQ(SeriesOf(Render()).count("spanwatch_circuit_breaker_state" + gemini), 0u);
}

TEST_F(ExpositionTest, BothFormatsHaveTheSameSeries) {
  Fill(&driver_);
  const Exposition exposition(SourcesOf(driver_));
  std::string type;
  auto text = SeriesOf(exposition.Render("", &type)),
       open_metrics = SeriesOf(exposition.Render(kAskOpenMetrics, &type));
  for (auto* series : {&text, &open_metrics}) {  // these move between two scrapes
    series->erase("process_cpu_seconds_total");
    series->erase("process_resident_memory_bytes");
    series->erase("process_virtual_memory_bytes");
    series->erase("process_open_fds");
  }
  EXPECT_EQ(text, open_metrics);
  EXPECT_GT(text.size(), 150u);
}

TEST_F(ExpositionTest, OpenMetricsIsStrict) {
  Fill(&driver_);
  ExpectStrictOpenMetrics(Render(kAskOpenMetrics));
}

TEST_F(ExpositionTest, AnEmptyEngineIsStrictToo) { ExpectStrictOpenMetrics(Render(kAskOpenMetrics)); }

TEST_F(ExpositionTest, OverflowIsOneSeriesAServiceAndNamed) {
  core::Limits limits;
  limits.max_series = 2;
  EngineDriver driver(limits);
  for (std::uint64_t i = 0; i < 10; ++i)
    driver.Spans({{.trace = i + 1, .id = 1, .name = "op" + std::to_string(i), .failed = i % 2 == 1}});
  std::string type;
  const std::string text = Exposition(SourcesOf(driver)).Render(kAskOpenMetrics, &type);
  const auto series = SeriesOf(text);
  EXPECT_EQ(series.at("traces_span_metrics_calls_total{service_name=\"bot\",otel_metric_overflow=\"true\"}"), "8");
  EXPECT_EQ(series.at("traces_span_metrics_duration_seconds_count{service_name=\"bot\",otel_metric_overflow=\"true\"}"),
            "8");
  EXPECT_EQ(series.at("spanwatch_cardinality_overflow_total{service_name=\"bot\",label=\"span_name\"}"), "8");
  EXPECT_EQ(series.at("spanwatch_series{state=\"named\"}"), "2");
  EXPECT_EQ(series.at("spanwatch_series{state=\"overflow\"}"), "1");
  ExpectStrictOpenMetrics(text);
}

TEST_F(ExpositionTest, LanguageModels) {
  core::Limits limits;
  limits.prices = std::make_shared<core::Prices>(std::vector<core::Price>{{"m", INT64_MIN, 2, 8, 0.5, 2}});
  driver_.Reload(nullptr, limits);
  const auto call = [&](std::uint64_t id, const std::string& model, const std::string& tokens) {
    driver_.Spans({{.trace = id,
                    .id = id,
                    .weight = 2.5,
                    .tags = {{"gen_ai.request.model", model},
                             {"gen_ai.usage.input_tokens", tokens},
                             {"gen_ai.usage.cache_read.input_tokens", "400000"}}}});
  };
  call(1, "m", "1000000");
  call(2, kHostile, "500000");
  const auto series = SeriesOf(Render());
  EXPECT_EQ(series.at("spanwatch_gen_ai_calls_total{service_name=\"bot\",model=\"m\"}"), "2.5");
  EXPECT_EQ(series.at("spanwatch_gen_ai_unpriced_calls_total{service_name=\"bot\",model=\"m\"}"), "0");
  EXPECT_EQ(series.at("spanwatch_gen_ai_tokens_total{service_name=\"bot\",model=\"m\",type=\"input\"}"), "2500000");
  EXPECT_EQ(series.at("spanwatch_gen_ai_tokens_total{service_name=\"bot\",model=\"m\",type=\"cached_input\"}"),
            "1000000");
  EXPECT_FALSE(series.contains("spanwatch_gen_ai_tokens_total{service_name=\"bot\",model=\"m\",type=\"output\"}"));
  EXPECT_EQ(series.at("spanwatch_gen_ai_cost_dollars_total{service_name=\"bot\",model=\"m\"}"), "3.5");
  const auto costs = [](const auto& each) { return each.first.starts_with("spanwatch_gen_ai_cost_dollars"); };
  EXPECT_EQ(std::count_if(series.begin(), series.end(), costs), 1) << "an unknown price is no 0";
  ExpectStrictOpenMetrics(Render(kAskOpenMetrics));
  if (HavePromtool()) {
    EXPECT_EQ(CheckMetrics(Render()), "");
  }
}

TEST_F(ExpositionTest, PromtoolHasNothingToSay) {
  if (!HavePromtool()) GTEST_SKIP() << "promtool is not installed (Debian package prometheus)";
  EXPECT_EQ(CheckMetrics(Render()), "");
  Fill(&driver_);
  EXPECT_EQ(CheckMetrics(Render()), "");
  // So that silence means something:
  EXPECT_THAT(CheckMetrics("# TYPE badName counter\nbadName{le=\"1\"} 1\n"), HasSubstr("badName"));
}

TEST(FamiliesTest, AlertsOfRulesStandAtZero) {
  core::RuleSet rules;
  core::Rule rule;
  rule.alert = "SlowOperation";
  rule.warning = 1e9;
  rule.critical = 5e9;
  rules.rules.push_back(rule);
  core::Incident firing;
  firing.alertname = "SlowOperation";
  firing.state = core::AlertState::kFiring;
  firing.severity = core::Severity::kCritical;
  core::Incident resolved = firing;
  resolved.state = core::AlertState::kResolved;
  Writer writer(Format::kText, 0);
  WriteAlerts({firing, firing, resolved}, &rules, 0, &writer);
  const auto series = SeriesOf(writer.Finish());
  EXPECT_EQ(series.at("spanwatch_alerts{alertname=\"SlowOperation\",severity=\"warning\",state=\"firing\"}"), "0");
  EXPECT_EQ(series.at("spanwatch_alerts{alertname=\"SlowOperation\",severity=\"critical\",state=\"firing\"}"), "2");
  EXPECT_EQ(series.at("spanwatch_rules"), "1");
}

TEST(FamiliesTest, RulesSayHowTheyDo) {
  core::RuleStatus wide;
  wide.group = "g";
  wide.alert = "Wide";
  wide.ok = false;
  wide.evaluations = 7;
  wide.failures = 4;
  wide.dropped_groups = 3;
  wide.groups = 12'000;
  wide.last_evaluation_ns = 1'500'000'000;
  core::RuleStatus fine;
  fine.group = "g";
  fine.alert = "Fine";
  Writer writer(Format::kText, 0);
  WriteRules({wide, fine, wide}, &writer);
  const auto series = SeriesOf(writer.Finish());
  const std::string labels = "{rule_group=\"g\",alertname=\"Wide\"}";
  EXPECT_EQ(series.at("spanwatch_rule_healthy" + labels), "0");
  EXPECT_EQ(series.at("spanwatch_rule_healthy{rule_group=\"g\",alertname=\"Fine\"}"), "1");
  EXPECT_EQ(series.at("spanwatch_rule_evaluations_total" + labels), "14") << "two rules of one name are one series";
  EXPECT_EQ(series.at("spanwatch_rule_failures_total" + labels), "8");
  EXPECT_EQ(series.at("spanwatch_rule_dropped_groups_total" + labels), "6");
  EXPECT_EQ(series.at("spanwatch_rule_groups" + labels), "24000");
  EXPECT_EQ(series.at("spanwatch_rule_last_evaluation_timestamp_seconds" + labels), "1.5");
}

TEST(FamiliesTest, ProcessesAreBounded) {
  std::vector<core::ProcessView> processes;
  for (std::size_t i = 0; i < kMaxProcesses + 50; ++i) {
    core::ProcessView process;
    process.id = "p" + std::to_string(i);
    process.state = i == 3 ? "alive" : "closed";
    process.last_seen_ns = i == 3 ? 0 : static_cast<std::int64_t>(i);
    process.gauges.resize(1);
    processes.push_back(process);
  }
  processes[3].gauges.clear();
  for (std::size_t i = 0; i < kMaxReportedValues + 7; ++i)
    processes[3].gauges.push_back({"g" + std::to_string(i), {}, 1});
  Writer writer(Format::kText, 0);
  WriteProcesses(processes, &writer);
  const std::string text = writer.Finish();
  EXPECT_THAT(text,
              HasSubstr("spanwatch_process_spans_emitted_total{process=\"p3\""));  // alive: shown though heard of first
  EXPECT_THAT(text, HasSubstr("spanwatch_process_spans_emitted_total{process=\"p249\""));
  EXPECT_THAT(text, Not(HasSubstr("{process=\"p10\"")));
  EXPECT_THAT(text, HasSubstr("spanwatch_metrics_omitted{what=\"process\"} 50\n"));
  EXPECT_THAT(text, HasSubstr("spanwatch_metrics_omitted{what=\"reported_value\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("spanwatch_processes{state=\"closed\"} 249\n"));
}

}  // namespace
}  // namespace spanwatch::metrics
