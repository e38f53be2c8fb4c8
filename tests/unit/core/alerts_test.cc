// Rules and incidents in virtual time.
#include <gtest/gtest.h>

#include "sidecar/core/template.h"
#include "tests/support/rule_builder.h"

namespace spanwatch::core {
namespace {

// Over five minutes, of at least 20 spans, after 30 s.
Rule PatientRule(Measure measure, double warning, double critical) {
  Rule rule = WindowRule(measure, warning, critical);
  rule.min_count = 20;
  rule.for_ns = 30 * kSecond;
  rule.keep_firing_for_ns = 2 * kMinute;
  return rule;
}

std::vector<TestSpan> Many(std::uint64_t first, int count, int failed, std::int64_t now_ns) {
  std::vector<TestSpan> spans;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = first + static_cast<std::uint64_t>(i);
    spans.push_back({.trace = id, .id = id, .start_ns = now_ns - kMs, .failed = i < failed});
  }
  return spans;
}

TEST(Alerts, AnEventFiresAtOnceRisesFallsAndResolves) {
  EngineDriver driver({}, Set({EventRule(Measure::kSpanDuration, 1e9, 5e9)}));
  driver.Spans({{.trace = 1, .id = 1, .duration_ns = kSecond}});
  EXPECT_EQ(driver.Told(), "") << "exactly at the threshold is not above";
  driver.Spans({{.trace = 2, .id = 2, .duration_ns = kSecond + 1}});
  ASSERT_EQ(driver.transitions().size(), 1u);
  const Incident fired = driver.transitions()[0].incident;
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  EXPECT_EQ(fired.annotations[0].value, "op took 1 s, 1 times, {{ nonsense }}");
  EXPECT_EQ(fired.labels[0].value, "bot");
  EXPECT_EQ(fired.labels[1].value, "op");
  EXPECT_EQ(fired.threshold, 1e9);
  EXPECT_EQ(fired.worst_trace, (TraceId{0xabcdef, 2}));
  driver.At(kMinute);
  driver.Spans({{.trace = 3,
                 .id = 3,
                 .duration_ns = 6 * kSecond,
                 .failed = true,
                 .error_type = "TimeoutError",
                 .error_message = "late"}});
  const Incident raised = driver.transitions().back().incident;
  EXPECT_EQ(driver.Told(), "escalated Alert critical");
  EXPECT_EQ(raised.id, fired.id);
  EXPECT_EQ(raised.count, 2u);
  EXPECT_EQ(raised.threshold, 5e9);
  EXPECT_EQ(raised.last_error, "TimeoutError: late");
  driver.At(2 * kMinute);
  driver.Spans({{.trace = 4, .id = 4, .duration_ns = 2 * kSecond}});
  driver.At(6 * kMinute - 100 * kMs);
  EXPECT_EQ(driver.Told(), "updated Alert critical") << "grew, said once";
  driver.At(6 * kMinute);
  EXPECT_EQ(driver.Told(), "deescalated Alert warning") << "five minutes after the last critical match";
  driver.At(7 * kMinute - 100 * kMs);
  EXPECT_EQ(driver.Told(), "");
  driver.At(7 * kMinute);
  const Incident over = driver.transitions().back().incident;
  EXPECT_EQ(driver.Told(), "resolved Alert none");
  EXPECT_EQ(over.resolved_at_ns - over.fired_at_ns, 7 * kMinute);
  EXPECT_EQ(over.peak_severity, Severity::kCritical);
  EXPECT_EQ(over.worst_value, 6e9);
  EXPECT_EQ(over.worst_trace, (TraceId{0xabcdef, 3}));
}

TEST(Alerts, EachServiceAndOperationHasItsOwnIncident) {
  EngineDriver driver({}, Set({EventRule(Measure::kSpanDuration, 1e9, 5e9)}));
  driver.Spans({{.trace = 1, .id = 1, .service = "a", .name = "x", .duration_ns = 2 * kSecond},
                {.trace = 1, .id = 2, .service = "a", .name = "y", .duration_ns = 2 * kSecond},
                {.trace = 1, .id = 3, .service = "b", .name = "x", .duration_ns = 6 * kSecond},
                {.trace = 1, .id = 4, .service = "b", .name = "x", .duration_ns = 7 * kSecond}});
  EXPECT_EQ(driver.Told(), "firing Alert warning; firing Alert warning; firing Alert critical");
  EXPECT_EQ(driver.engine().Incidents().size(), 3u);
  EXPECT_EQ(driver.engine().Stats().alerts_firing, 3u);
  EXPECT_TRUE(driver.engine().FindTraces({}).at(0).alerted);
}

TEST(Alerts, MatchersChooseByServiceOperationKindAndStatus) {
  Rule rule = EventRule(Measure::kSpanDuration, 1e9, 5e9);
  rule.match = {{LabelSource::kService, std::make_shared<Exactly>("a")},
                {LabelSource::kStatus, std::make_shared<Exactly>("error")}};
  EngineDriver driver({}, Set({rule}));
  driver.Spans({{.trace = 1, .id = 1, .service = "b", .duration_ns = 2 * kSecond, .failed = true},
                {.trace = 1, .id = 2, .service = "a", .duration_ns = 2 * kSecond}});
  EXPECT_EQ(driver.Told(), "");
  driver.Spans({{.trace = 1, .id = 3, .service = "a", .duration_ns = 2 * kSecond, .failed = true}});
  EXPECT_EQ(driver.Told(), "firing Alert warning");
}

TEST(Alerts, DepthFiresOnCrossingAndStaysWithItsTrace) {
  EngineDriver driver({}, Set({EventRule(Measure::kTraceDepth, 15, 25)}));
  std::vector<TestSpan> chain;
  for (std::uint64_t id = 15; id >= 1; --id)
    chain.push_back({.id = id, .parent = id - 1, .name = id == 1 ? "root" : "recurse"});
  driver.Spans(chain);
  driver.At(500 * kMs);
  EXPECT_EQ(driver.Told(), "") << "15 levels are not above 15";
  driver.Spans({{.id = 16, .parent = 15, .name = "recurse"}});
  ASSERT_EQ(driver.transitions().size(), 1u) << "before the trace is complete";
  EXPECT_EQ(driver.transitions()[0].incident.labels[1].value, "root");
  EXPECT_EQ(driver.transitions()[0].incident.value, 16);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  for (std::uint64_t id = 17; id <= 25; ++id) driver.Spans({{.id = id, .parent = id - 1}});
  EXPECT_EQ(driver.Told(), "") << "25 levels are not above 25";
  driver.Spans({{.id = 26, .parent = 25}});
  EXPECT_EQ(driver.transitions().at(0).incident.count, 1u) << "one trace counts once";
  EXPECT_EQ(driver.Told(), "escalated Alert critical");
}

TEST(Alerts, TraceMemoryIsJudgedAtCompletion) {
  EngineDriver driver({}, Set({EventRule(Measure::kTraceMemoryDelta, 100.0 * kMb, 500.0 * kMb)}));
  driver.Spans({{.trace = 1, .id = 1, .memory_delta = 100 * kMb},
                {.trace = 2, .id = 2, .memory_delta = 100 * kMb + 1},
                {.trace = 3, .id = 3}});
  EXPECT_EQ(driver.Told(), "");
  driver.At(kSecond);
  ASSERT_EQ(driver.transitions().size(), 1u);
  EXPECT_EQ(driver.transitions()[0].incident.worst_trace, (TraceId{0xabcdef, 2}));
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  driver.Spans({{.trace = 4, .id = 4, .memory_delta = 500 * kMb + 1}});
  driver.At(2 * kSecond);
  EXPECT_EQ(driver.Told(), "escalated Alert critical");
}

TEST(Alerts, ErrorRateWaitsForItsCountItsTimeAndStaysAsLongAsItShould) {
  EngineDriver driver({}, Set({PatientRule(Measure::kErrorRate, 0.10, 0.20)}));
  driver.Spans(Many(1, 19, 19, driver.now_ns()));
  driver.At(100 * kMs);
  EXPECT_TRUE(driver.engine().Incidents().empty()) << "19 spans say nothing";
  driver.Spans(Many(100, 81, 0, driver.now_ns()));  // 19 of 100 fail
  driver.At(2 * kSecond);
  ASSERT_EQ(driver.engine().Incidents().size(), 1u);
  EXPECT_EQ(driver.engine().Incidents()[0].state, AlertState::kPending);
  EXPECT_EQ(driver.engine().Incidents()[0].value, 0.19);
  EXPECT_EQ(driver.Told(), "");
  const std::int64_t since = driver.engine().Incidents()[0].active_at_ns - kStart;
  driver.At(since + 30 * kSecond - 100 * kMs);
  EXPECT_EQ(driver.Told(), "");
  driver.At(since + 30 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  driver.Spans(Many(1000, 100, 100, driver.now_ns()));  // 119 of 200
  driver.At(since + 61 * kSecond);
  EXPECT_EQ(driver.Told(), "updated Alert warning; escalated Alert critical") << "critical holds its own 30 seconds";
  // The window slides over both: nothing holds after 5 minutes, resolved 2 minutes later.
  driver.At(since + 30 * kSecond + 5 * kMinute);
  driver.transitions().clear();
  driver.At(since + 38 * kSecond + 7 * kMinute);
  EXPECT_EQ(driver.Told(), "resolved Alert none");
}

TEST(Alerts, ErrorRateAtItsBordersIsStrict) {
  for (const auto& [failed, expected] : {std::pair{10, ""},
                                         {11, "firing Alert warning"},
                                         {20, "firing Alert warning"},
                                         {21, "firing Alert warning; escalated Alert critical"}}) {
    EngineDriver driver({}, Set({PatientRule(Measure::kErrorRate, 0.10, 0.20)}));
    driver.Spans(Many(1, 100, failed, driver.now_ns()));
    driver.At(40 * kSecond);
    const std::string told = driver.Told();
    if (failed == 21) {
      EXPECT_NE(told.find("critical"), std::string::npos) << failed;
    } else {
      EXPECT_EQ(told, expected) << failed;
    }
  }
}

TEST(Alerts, APendingAlertThatPassesIsForgotten) {
  EngineDriver driver({}, Set({PatientRule(Measure::kErrorRate, 0.10, 0.20)}));
  driver.Spans(Many(1, 20, 4, driver.now_ns()));
  driver.At(5 * kSecond);
  EXPECT_EQ(driver.engine().Stats().alerts_pending, 1u);
  driver.Spans(Many(100, 100, 0, driver.now_ns()));
  driver.At(60 * kSecond);
  EXPECT_EQ(driver.engine().Incidents().size(), 0u);
  EXPECT_EQ(driver.Told(), "");
}

TEST(Alerts, OldSpansCountInMetricsNotInWindows) {
  EngineDriver driver({}, Set({PatientRule(Measure::kErrorRate, 0.10, 0.20)}));
  driver.Spans(Many(1, 50, 50, driver.now_ns() - 6 * kMinute));
  driver.At(kMinute);
  EXPECT_EQ(driver.Told(), "");
  EXPECT_EQ(driver.engine().Stats().services[0].errors, 50);
}

TEST(Alerts, SampledSpansWeighWhatTheyStandFor) {
  EngineDriver driver({}, Set({PatientRule(Measure::kErrorRate, 0.10, 0.20)}));
  std::vector<TestSpan> spans = Many(1, 30, 10, driver.now_ns());
  for (TestSpan& span : spans) span.weight = span.failed ? 1 : 10;  // 10 of 210 failed
  driver.Spans(spans);
  driver.At(kMinute);
  EXPECT_EQ(driver.Told(), "");
  EXPECT_EQ(driver.engine().Stats().services[0].spans, 210);
}

TEST(Alerts, StoreFillFiresAboveItsThreshold) {
  Limits limits;
  limits.memory_limit_bytes = 100'000;
  Rule rule = PatientRule(Measure::kStoreFill, 0.90, 0.99);
  rule.by = {};
  rule.min_count = 0;
  EngineDriver driver(limits, Set({rule}));
  std::uint64_t id = 1;
  while (static_cast<double>(driver.engine().Stats().store.bytes) < 0.85 * 100'000) driver.Spans({{.trace = id++}});
  driver.At(60 * kSecond);
  EXPECT_EQ(driver.Told(), "");
  while (static_cast<double>(driver.engine().Stats().store.bytes) <= 0.90 * 100'000) driver.Spans({{.trace = id++}});
  driver.At(100 * kSecond);
  EXPECT_EQ(driver.Told(), "firing Alert warning");
  EXPECT_TRUE(driver.engine().Incidents()[0].labels.empty());
}

TEST(Alerts, StuckSpansFireBeforeTheyEnd) {
  EngineDriver driver({}, Set({EventRule(Measure::kSpanOpenFor, 60e9, 300e9)}));
  EnvelopeView open;
  open.kind = EnvelopeKind::kOpenSpans;
  open.process_id = {1};
  open.oldest_held = 1;
  open.send_time_ns = kStart + 60 * kSecond;
  driver.Message(1, open, {{.id = 1}});
  EXPECT_EQ(driver.Told(), "");
  open.send_time_ns = kStart + 61 * kSecond;
  driver.Message(1, open, {{.id = 1}});
  EXPECT_EQ(driver.Told(), "firing Alert warning");
}

TEST(Alerts, AReloadKeepsWhatDidNotChangeAndEndsWhatIsGone) {
  Rule slow = EventRule(Measure::kSpanDuration, 1e9, 5e9);
  slow.text = "slow";
  Rule deep = EventRule(Measure::kTraceSpanCount, 1, 100);
  deep.alert = "Wide";
  deep.text = "wide";
  EngineDriver driver({}, Set({deep, slow}));
  driver.Spans({{.trace = 1, .id = 1, .duration_ns = 2 * kSecond}, {.trace = 1, .id = 2, .parent = 1}});
  EXPECT_EQ(driver.Told(), "firing Alert warning; firing Wide warning");
  const std::string id = driver.engine().Incidents().at(1).id;
  driver.At(kMinute);
  driver.Reload(Set({slow}), Limits());
  EXPECT_EQ(driver.Told(), "resolved Wide none");
  driver.Spans({{.trace = 2, .id = 3, .duration_ns = 2 * kSecond}});
  driver.At(2 * kMinute);
  EXPECT_EQ(driver.transitions().at(0).incident.id, id) << "the same incident goes on";
  EXPECT_EQ(driver.Told(), "updated Alert warning");
  slow.warning = 3e9;
  slow.text = "slower";
  driver.Reload(Set({slow}), Limits());
  EXPECT_EQ(driver.Told(), "resolved Alert none");
}

TEST(Alerts, TheIncidentTableIsBounded) {
  Limits limits;
  limits.max_incidents = 5;
  EngineDriver driver(limits, Set({EventRule(Measure::kSpanDuration, 1e9, 5e9)}));
  for (std::uint64_t i = 1; i <= 20; ++i)
    driver.Spans({{.trace = i, .id = i, .name = "op" + std::to_string(i), .duration_ns = 2 * kSecond}});
  EXPECT_EQ(driver.engine().Incidents().size(), 5u);
  EXPECT_EQ(driver.engine().Stats().incidents_dropped, 15u);
}

TEST(Alerts, LostSpansShowInTheIncident) {
  EngineDriver driver({}, Set({EventRule(Measure::kSpanDuration, 1e9, 5e9)}));
  driver.Spans({{.trace = 1, .id = 1, .duration_ns = 2 * kSecond}});
  EnvelopeView beat;
  beat.kind = EnvelopeKind::kHeartbeat;
  beat.process_id = {1};
  beat.oldest_held = 1;
  beat.drops = {{"ring_full", 42}};
  driver.Message(1, beat);
  EXPECT_EQ(driver.engine().Incidents().at(0).lost_spans, 42u);
}

TEST(Template, ReplacesKnownNamesOnlyAndIsBounded) {
  const TemplateValue values[] = {{"a", "1"}, {"long", "äääääääääääääääääääääääääääääääääääääääääää"}};
  EXPECT_EQ(RenderTemplate("x {{ a }}{{a}} {{ b }} {{ a", values), "x 11 {{ b }} {{ a");
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "{{long}}";
  const std::string rendered = RenderTemplate(text, values);
  EXPECT_LE(rendered.size(), kMaxRendered);
  EXPECT_EQ(rendered.substr(rendered.size() - 2), "ä");
}

TEST(FormatValue, ShowsThreeDigitsAndTheUnitThatFits) {
  EXPECT_EQ(FormatValue(1e9, Unit::kNanoseconds), "1 s");
  EXPECT_EQ(FormatValue(1.2345e9, Unit::kNanoseconds), "1.23 s");
  EXPECT_EQ(FormatValue(250e6, Unit::kNanoseconds), "250 ms");
  EXPECT_EQ(FormatValue(119.9e9, Unit::kNanoseconds), "120 s");
  EXPECT_EQ(FormatValue(600e9, Unit::kNanoseconds), "10 min");
  EXPECT_EQ(FormatValue(120.0 * kMb, Unit::kBytes), "120 MB");
  EXPECT_EQ(FormatValue(0.125, Unit::kRatio), "12.5 %");
  EXPECT_EQ(FormatValue(3.5, Unit::kPerSecond), "3.5 /s");
  EXPECT_EQ(FormatValue(17, Unit::kCount), "17");
  EXPECT_EQ(FormatValue(9999, Unit::kCount), "9999");
  EXPECT_EQ(FormatValue(12345, Unit::kCount), "12.3 k");
  EXPECT_EQ(FormatValue(999'960, Unit::kCount), "1 M");
  EXPECT_EQ(FormatValue(1'500'000, Unit::kCount), "1.5 M");
  EXPECT_EQ(FormatValue(-2.5e9, Unit::kCount), "-2.5 G");
  EXPECT_EQ(FormatValue(4e16, Unit::kCount), "40000 T");
  EXPECT_EQ(FormatValue(25'000, Unit::kPerSecond), "25 k /s");
}

}  // namespace
}  // namespace spanwatch::core
