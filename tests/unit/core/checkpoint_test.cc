// What a restart relies on: a checkpoint is everything but the traces, and taking one over changes nothing that a fold
// would not have made.
#include <gtest/gtest.h>

#include <random>

#include "sidecar/core/prices.h"
#include "tests/support/engine_driver.h"

namespace spanwatch::core {
namespace {

Rule Slow() {
  Rule rule;
  rule.group = "g";
  rule.alert = "Slow";
  rule.measure = Measure::kSpanDuration;
  rule.by = {LabelSource::kService, LabelSource::kOperation};
  rule.warning = 1e9;
  rule.critical = 5e9;
  rule.keep_firing_for_ns = kMinute;
  rule.text = "slow";
  return rule;
}

Rule Errors() {
  Rule rule;
  rule.group = "g";
  rule.alert = "Errors";
  rule.measure = Measure::kErrorRate;
  rule.by = {LabelSource::kService};
  rule.warning = 0.1;
  rule.critical = 0.2;
  rule.window_ns = kMinute;
  rule.min_count = 5;
  rule.for_ns = 10 * kSecond;
  rule.keep_firing_for_ns = 20 * kSecond;
  rule.text = "errors";
  return rule;
}

Rule Deep() {
  Rule rule = Slow();
  rule.alert = "Deep";
  rule.measure = Measure::kTraceDepth;
  rule.warning = 3;
  rule.critical = 6;
  rule.text = "deep";
  return rule;
}

// A window rule that fires at once.
Rule Window(Measure measure, double warning, double critical, RuleLabel by = LabelSource::kService) {
  Rule rule = Errors();
  rule.alert = ToString(measure);
  rule.measure = measure;
  rule.by = {std::move(by)};
  rule.warning = warning;
  rule.critical = critical;
  rule.min_count = 0;
  rule.for_ns = 0;
  rule.text = rule.alert + rule.by[0].Text();
  return rule;
}

Rule Burning() {
  Rule rule = Window(Measure::kSloBurnRate, 1, 2);
  rule.window_ns = 10 * kMinute;
  rule.short_window_ns = kMinute;
  rule.objective = 0.9;
  return rule;
}

std::shared_ptr<const RuleSet> Rules() {
  auto set = std::make_shared<RuleSet>();
  Rule tagged = Slow();
  tagged.alert = "Tagged";
  tagged.measure = Measure::kSpanTag;
  tagged.tag = "gen_ai.usage.input_tokens";
  tagged.by = {RuleLabel("model"), LabelSource::kOperation};
  tagged.warning = 900;
  tagged.critical = 990;
  tagged.text = "tagged";
  set->rules = {Slow(),
                Errors(),
                Deep(),
                tagged,
                Burning(),
                Window(Measure::kDurationP95, 5e9, 6.5e9),
                Window(Measure::kDurationP50, 3e9, 6e9, RuleLabel("model")),
                Window(Measure::kAbsent, 10e9, 40e9),
                Window(Measure::kProcessSilentFor, 10e9, 40e9),
                Window(Measure::kProcessMemory, 100.0 * kMb, 200.0 * kMb),
                Window(Measure::kTokens, 5000, 20000, RuleLabel("model")),
                Window(Measure::kCost, 1, 2)};
  return set;
}

Limits SmallLimits() {
  Limits limits;
  limits.max_traces = 50;
  limits.max_series = 40;
  limits.prices = std::make_shared<const Prices>(std::vector<Price>{{"model-1*", INT64_MIN, 100, 0, 100, 100}});
  return limits;
}

// One seeded input: spans of several services in any order, messages of processes, silence.
class Traffic {
 public:
  explicit Traffic(std::uint64_t seed) : random_(seed) {}

  void Step(EngineDriver* driver) {
    now_ns_ +=
        Below(10) == 0 ? static_cast<std::int64_t>(Below(90)) * kSecond : static_cast<std::int64_t>(Below(400)) * kMs;
    driver->At(now_ns_);
    if (Below(4) == 0) {
      Message(driver);
    } else {
      driver->Spans(Spans());
    }
  }

 private:
  std::uint64_t Below(std::uint64_t limit) { return random_() % limit; }

  std::vector<TestSpan> Spans() {
    std::vector<TestSpan> spans;
    for (std::uint64_t n = Below(12) + 1; n > 0; --n) {
      const std::uint64_t trace = 1 + Below(80);
      const std::uint64_t id = 1 + Below(40);
      spans.push_back({.trace = trace,
                       .id = id,
                       .parent = Below(3) == 0 ? 0 : 1 + Below(40),
                       .service = "service-" + std::to_string(Below(4)),
                       .name = "operation-" + std::to_string(Below(30)),
                       .start_ns = kStart + now_ns_ - static_cast<std::int64_t>(Below(8)) * kSecond,
                       .duration_ns = static_cast<std::int64_t>(Below(7000)) * kMs,
                       .failed = Below(6) == 0,
                       .error_type = "TimeoutError",
                       .error_message = "late",
                       .tags = {{"model", "model-" + std::to_string(Below(3))},
                                {"gen_ai.request.model", "model-" + std::to_string(Below(300))},
                                {"gen_ai.usage.input_tokens", std::to_string(Below(1000))}}});
    }
    return spans;
  }

  void Message(EngineDriver* driver) {
    const std::uint64_t number = Below(5);
    Sender& sender = senders_[number];
    EnvelopeView envelope;
    envelope.process_id[0] = static_cast<std::uint8_t>(number + 1);
    envelope.send_time_ns = kStart + now_ns_;
    envelope.batched_before = sender.batched;
    std::vector<TestSpan> spans;
    if (!sender.greeted) {
      envelope.kind = EnvelopeKind::kHello;
      sender.greeted = true;
    } else if (Below(3) == 0) {
      envelope.kind = EnvelopeKind::kHeartbeat;
      envelope.gauges = {{"breaker", {{"name", "gemini"}}, 1.0}};
      envelope.sdk_ring_fill = static_cast<double>(Below(100)) / 100;
      envelope.sdk_sample_rate = 0.5;
      envelope.rss_bytes = Below(300) * static_cast<std::uint64_t>(kMb);
      envelope.drops = {{"ring_full", sender.dropped += Below(3)}};
    } else if (Below(3) == 0) {
      envelope.kind = EnvelopeKind::kOpenSpans;
      spans = Spans();
    } else {
      envelope.kind = EnvelopeKind::kSpans;
      spans = Spans();
      envelope.sequence = ++sender.sequence;
      envelope.oldest_held = sender.sequence;
      envelope.span_count = static_cast<std::uint32_t>(spans.size());
      sender.batched += spans.size();
    }
    driver->Message(number + 1, envelope, std::move(spans));
  }

  struct Sender {
    bool greeted = false;
    std::uint64_t sequence = 0, batched = 0, dropped = 0;
  };
  std::mt19937_64 random_;
  std::int64_t now_ns_ = 0;
  Sender senders_[5];
};

Decoded Reload() {
  Decoded decoded;
  decoded.rules = Rules();
  decoded.limits = std::make_shared<const Limits>(SmallLimits());
  return decoded;
}

std::string Ids(const std::vector<Transition>& transitions) {
  std::string text;
  for (const Transition& t : transitions) text += t.id + "@" + std::to_string(t.at_ns) + "\n";
  return text;
}

TEST(Checkpoint, TakingOneOverInTheMiddleOfAFoldChangesNothing) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EngineDriver live(SmallLimits(), Rules()), fold(SmallLimits(), Rules());
    Traffic live_traffic(seed), fold_traffic(seed);
    for (int i = 0; i < 400; ++i) {
      live_traffic.Step(&live);
      fold_traffic.Step(&fold);
      if (i % 37 == 5) {
        ASSERT_TRUE(fold.engine().Restore(Reload(), live.engine().Checkpoint())) << "seed " << seed << " step " << i;
      }
    }
    EXPECT_EQ(fold.engine().Digest(), live.engine().Digest()) << "seed " << seed;
    EXPECT_EQ(fold.engine().Checkpoint(), live.engine().Checkpoint()) << "seed " << seed;
    EXPECT_EQ(Ids(fold.transitions()), Ids(live.transitions())) << "seed " << seed;
    EXPECT_GT(live.transitions().size(), 10u) << "the traffic raises alerts";
  }
}

TEST(Checkpoint, AnEmptyEngineThatTakesOneOverHasEverythingButTheTraces) {
  EngineDriver live(SmallLimits(), Rules());
  Traffic traffic(7);
  for (int i = 0; i < 300; ++i) traffic.Step(&live);
  const std::string checkpoint = live.engine().Checkpoint();
  Engine restored(Limits{}, nullptr);
  ASSERT_TRUE(restored.Restore(Reload(), checkpoint));
  EXPECT_EQ(restored.Checkpoint(), checkpoint);
  const StatsView a = live.engine().Stats(), b = restored.Stats();
  EXPECT_EQ(b.emitted, a.emitted);
  EXPECT_EQ(b.applied, a.applied);
  EXPECT_EQ(b.processes.size(), a.processes.size());
  EXPECT_EQ(b.alerts_firing, a.alerts_firing);
  EXPECT_EQ(b.services.size(), a.services.size());
  EXPECT_EQ(b.store.traces_total, a.store.traces_total);
  EXPECT_EQ(b.store.traces, 0u);
  EXPECT_EQ(restored.Metrics().series.size(), live.engine().Metrics().series.size());
  const std::vector<Incident> shown = restored.Incidents(), known = live.engine().Incidents();
  ASSERT_EQ(shown.size(), known.size());
  for (std::size_t i = 0; i < shown.size(); ++i) EXPECT_EQ(shown[i].id, known[i].id);
}

TEST(Checkpoint, ForAndKeepFiringForGoOnWhereTheyWere) {
  EngineDriver live(SmallLimits(), Rules());
  const auto failing = [](EngineDriver* driver, std::uint64_t first) {
    std::vector<TestSpan> spans;
    for (std::uint64_t i = 0; i < 10; ++i)
      spans.push_back({.trace = first + i, .id = first + i, .start_ns = driver->now_ns(), .failed = true});
    driver->Spans(std::move(spans));
  };
  failing(&live, 1);
  live.At(6 * kSecond);
  EXPECT_EQ(live.engine().Stats().alerts_pending, 1u);
  EngineDriver second;
  second.At(0);
  ASSERT_TRUE(second.engine().Restore(Reload(), live.engine().Checkpoint()));
  second.At(9 * kSecond);
  EXPECT_EQ(second.Told(), "") << "pending for nine seconds of ten";
  second.At(11 * kSecond);
  EXPECT_NE(second.Told().find("firing Errors critical"), std::string::npos);
}

TEST(Checkpoint, SilenceWhileTheSidecarWasAwayIsHeldAgainstNobody) {
  EngineDriver driver;
  EnvelopeView hello;
  hello.process_id[0] = 9;
  driver.Message(1, hello);
  const std::int64_t later = driver.now_ns() + 10 * kMinute;
  driver.engine().Apply({100, later, RecordKind::kRestart, 0}, {});
  EXPECT_EQ(driver.engine().Stats().processes.at(0).state, "alive");
  driver.engine().Apply({0, later + kMinute, RecordKind::kTime, 0}, {});
  EXPECT_EQ(driver.engine().Stats().processes.at(0).state, "died");
}

TEST(Checkpoint, DamagedBytesChangeNothing) {
  EngineDriver live(SmallLimits(), Rules());
  Traffic traffic(3);
  for (int i = 0; i < 100; ++i) traffic.Step(&live);
  const std::string good = live.engine().Checkpoint();
  std::mt19937_64 random(1);
  Engine engine(Limits{}, nullptr);
  const std::string empty = engine.Checkpoint();
  for (std::size_t size = 0; size < good.size(); size += 1 + size / 50) {
    EXPECT_FALSE(engine.Restore(Reload(), std::string_view(good).substr(0, size))) << size;
  }
  EXPECT_EQ(engine.Checkpoint(), empty);
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    for (int n = 0; n < 3; ++n) bad[random() % bad.size()] = static_cast<char>(random());
    Engine victim(Limits{}, nullptr);
    if (!victim.Restore(Reload(), bad)) continue;
    // Readable by chance: it must at least work.
    victim.Apply({1, kStart + kMinute, RecordKind::kTime, 0}, {});
    const TestBatch batch({{.trace = 1, .id = 1, .duration_ns = 9 * kSecond, .failed = true}});
    Decoded decoded;
    decoded.spans = &batch.batch();
    victim.Apply({2, kStart + kMinute, RecordKind::kOtlp, 0}, decoded);
    victim.Apply({3, kStart + 9 * kMinute, RecordKind::kTime, 0}, {});
    victim.Digest();
  }
}

TEST(Checkpoint, WhatIsShownBeginsAnewAtTheMark) {
  EngineDriver driver;
  driver.Spans({{.trace = 1, .id = 1}, {.trace = 1, .id = 2, .failed = true}});
  driver.engine().MarkStart();
  driver.Spans({{.trace = 1, .id = 3}, {.trace = 1, .id = 4}});
  const MetricsView metrics = driver.engine().Metrics();
  double calls = 0;
  for (const SpanSeries& series : metrics.series) calls += series.durations.count;
  EXPECT_EQ(calls, 2);
  const StatsView since = Since(driver.engine().StatsAtStart(), driver.engine().Stats());
  EXPECT_EQ(since.spans_applied, 2u);
  EXPECT_EQ(since.services.at(0).spans, 2);
  EXPECT_EQ(since.services.at(0).errors, 0);
  EXPECT_EQ(driver.engine().Stats().spans_applied, 4u);
  EXPECT_EQ(driver.engine().Stats().services.at(0).errors, 1);
}

}  // namespace
}  // namespace spanwatch::core
